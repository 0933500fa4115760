"""The same response twice: there is nothing to prefer."""

from __future__ import annotations

from dataclasses import replace

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.attacks.base import Invariance
from gramr2.judgment import Decision

MARGIN = 0.1
"""|P(A) − P(B)| up to which two equal texts count as level"""


class Identical(Invariance):
    """The attacked response in both places. The expected verdict is a tie, or one whose P(A) and P(B) are level within 0.1: a
    judge that is asked for A or B alone has to name one. An abstention is no verdict, and not counted."""

    def attacked(self, comparison: Comparison, side: int, seed: int) -> Comparison:
        text = comparison.responses[side]
        return replace(comparison, responses=(text, text))

    def moved(self, before: Decision, after: Decision, side: int) -> bool:
        """Whether one of two equal texts is preferred."""
        if after.label is None or after.label is Label.TIE:
            return False
        found = after.probabilities
        return found is None or abs(found.a - found.b) > MARGIN


IDENTICAL = Identical(
    "identical",
    "the attacked response in both places",
    "expected: a tie, or P(A) and P(B) within 0.1 of each other",
    93,
)
