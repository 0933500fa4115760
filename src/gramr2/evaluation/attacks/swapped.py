"""The responses exchanged: the same one must win."""

from __future__ import annotations

from gramr2.comparison import Comparison
from gramr2.evaluation.attacks.base import Invariance
from gramr2.judgment import Decision


class Swapped(Invariance):
    """The responses in each other's place. A judge asked in both orders sees the same two prompts again, so that what is left is
    chance; with ``--orders first`` this is its position bias."""

    def attacked(self, comparison: Comparison, side: int, seed: int) -> Comparison | None:
        swapped = comparison.swap()
        return None if swapped == comparison else swapped

    def moved(self, before: Decision, after: Decision, side: int) -> bool:
        """Whether the verdict is another one than before, either way."""
        return before.label is not None and after.label is not None and after.label.swap() is not before.label


SWAPPED = Swapped("swapped", "the responses in each other's place", "expected: the verdict swaps too", 94)
