"""What a scheme is."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import ClassVar

Pair = tuple[int, int]
"""indices of two responses"""
Play = Generator[list[Pair], Sequence[float | None], None]
"""Yields batches of pairs that can be judged at once, and is sent one result per pair.

A result is what the first of the pair scored: 1 a win, 0 a loss, 0.5 a tie, anything between a belief; None where the judge
came to no decision, which is no result and counts for nobody.
"""


class Tournament(ABC):
    """A way of choosing pairs. No pair is played twice."""

    name: ClassVar[str]
    takes_budget: ClassVar[bool] = False

    @classmethod
    def with_budget(cls, most: int) -> Tournament:
        """One that plays at most so many comparisons, of a class that takes a budget."""
        raise NotImplementedError

    @abstractmethod
    def comparisons(self, n: int) -> int:
        """How many comparisons ``n`` responses take."""

    @abstractmethod
    def play(self, n: int, rng: random.Random) -> Play:
        """Choose pairs among ``n`` responses."""


def winner(pair: Pair, result: float | None) -> int:
    """Who goes on where one must: on a tie, and where the judge came to no decision, the first of the pair."""
    return pair[1] if result is not None and result < 0.5 else pair[0]
