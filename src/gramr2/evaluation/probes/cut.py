"""The beginning of the rationale alone, without its conclusion: how much of it does the verdict need?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gramr2.comparison import LabeledComparison
from gramr2.evaluation.probes.base import Intervention, text_of
from gramr2.judging.reading import without_conclusion


class Cut(Intervention):
    """The first words of the rationale.

    Args:
        percent: percentage of the words that is kept.
    """

    def __init__(self, percent: int, place: int) -> None:
        super().__init__(f"cut_{percent}", f"first {percent} %", place)
        self.percent = percent

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str:
        words = re.findall(r"\S+\s*", without_conclusion(text_of(examples[index])))
        return "".join(words[: max(1, round(len(words) * self.percent / 100))]).rstrip()


QUARTER, HALF, THREE_QUARTERS = Cut(25, 2), Cut(50, 3), Cut(75, 4)
