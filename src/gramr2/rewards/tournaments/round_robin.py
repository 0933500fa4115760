"""All against all: the most that pairs can tell, at the price of n(n−1)/2 comparisons."""

from __future__ import annotations

import itertools
import random
from typing import ClassVar

from gramr2.rewards.tournaments.base import Play, Tournament


class RoundRobin(Tournament):
    """All pairs in one batch."""

    name: ClassVar[str] = "round-robin"

    def comparisons(self, n: int) -> int:
        """n(n−1)/2."""
        return n * (n - 1) // 2

    def play(self, n: int, rng: random.Random) -> Play:
        yield list(itertools.combinations(range(n), 2))
