"""One champion meets all others in turn: n−1 comparisons, which can share the champion's part of the prompt."""

from __future__ import annotations

import random
from typing import ClassVar

from gramr2.rewards.tournaments.base import Play, Tournament, winner


class Champion(Tournament):
    """The linear scheme of GRAM: the challenger takes the place of a champion it beats."""

    name: ClassVar[str] = "champion"

    def comparisons(self, n: int) -> int:
        """n−1."""
        return n - 1

    def play(self, n: int, rng: random.Random) -> Play:
        champion, *challengers = rng.sample(range(n), n)
        for challenger in challengers:
            (result,) = yield [(champion, challenger)]
            champion = winner((champion, challenger), result)
