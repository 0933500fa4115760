"""The interface of a scheme."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import ClassVar

Pair = tuple[int, int]
"""indices of two responses"""
Play = Generator[list[Pair], Sequence[float | None], None]
"""Yields batches of pairs that can be judged at once, and is sent one result per pair.

A result is the score of the first of the pair: 1 for a win, 0 for a loss, 0.5 for a tie, anything between for a belief; None
if the judge made no decision, which counts for neither.
"""


class Tournament(ABC):
    """A way of choosing pairs. No pair is played twice."""

    name: ClassVar[str]
    takes_budget: ClassVar[bool] = False

    @classmethod
    def with_budget(cls, most: int) -> Tournament:
        """A scheme that plays at most ``most`` comparisons, for a class that takes a budget."""
        raise NotImplementedError

    @abstractmethod
    def comparisons(self, n: int) -> int:
        """How many comparisons ``n`` responses take."""

    @abstractmethod
    def play(self, n: int, rng: random.Random) -> Play:
        """Choose pairs among ``n`` responses."""


def winner(pair: Pair, result: float | None) -> int:
    """The response that advances: the winner or, on a tie or without a decision, the first of the pair."""
    return pair[1] if result is not None and result < 0.5 else pair[0]
