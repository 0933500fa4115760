"""Losers are out: finds a good response in n−1 comparisons, and says little about the others."""

from __future__ import annotations

import random
from typing import ClassVar

from gramr2.rewards.tournaments.base import Play, Tournament, winner


class Knockout(Tournament):
    """A bracket drawn at random (seeded); an odd one out advances without playing."""

    name: ClassVar[str] = "knockout"

    def comparisons(self, n: int) -> int:
        """n−1."""
        return n - 1

    def play(self, n: int, rng: random.Random) -> Play:
        left = rng.sample(range(n), n)
        while len(left) > 1:
            pairs = list(zip(left[::2], left[1::2], strict=False))
            results = yield pairs
            through = [winner(pair, result) for pair, result in zip(pairs, results, strict=True)]
            left = through + left[2 * len(pairs) :]
