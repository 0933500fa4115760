"""The rationale of another comparison: does the verdict follow what it reads?"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.probes.base import Intervention, text_of


class Exchanged(Intervention):
    """The rationale of the next example with another label: with the same label, a verdict that follows it would not change."""

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str | None:
        donor = self._donor(examples, index)
        return None if donor is None else text_of(donor)

    def concludes(self, examples: Sequence[LabeledComparison], index: int) -> Label | None:
        donor = self._donor(examples, index)
        return None if donor is None else donor.label

    def _donor(self, examples: Sequence[LabeledComparison], index: int) -> LabeledComparison | None:
        others = (examples[(index + step) % len(examples)] for step in range(1, len(examples)))
        return next((each for each in others if each.label is not examples[index].label), None)


EXCHANGED = Exchanged("exchanged", "another's", 1)
