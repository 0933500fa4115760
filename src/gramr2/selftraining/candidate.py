"""A judged comparison on its way through the filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.judgment import Decision, Reading


@dataclass(frozen=True, slots=True)
class Candidate:
    """A comparison, the judge's decision on it, and the training example it would become.

    ``confidence`` is the decision's, calibrated if the run can calibrate. ``example`` is the comparison in the order its
    rationale was written for (``swapped`` when that is not the stored one); None when there is nothing to learn.
    ``measures`` holds numbers recorded by filters and rationale sources.
    """

    comparison: Comparison
    decision: Decision
    confidence: float | None
    example: LabeledComparison | None = None
    swapped: bool = False
    measures: Mapping[str, float] = field(default_factory=dict)

    def measured(self, name: str, value: float) -> Candidate:
        """The candidate with one more measure."""
        return replace(self, measures={**self.measures, name: value})

    def swap(self) -> Candidate:
        """The same example with its responses swapped."""
        example = None if self.example is None else self.example.swap()
        return replace(self, example=example, swapped=not self.swapped)

    @property
    def decided_directly(self) -> bool:
        """Whether there is a direct reading, so that the label does not rest on the rationale and survives a bad one."""
        return Reading.DIRECT in self.decision.readings

    def bare(self) -> Candidate:
        """The same example without its rationale."""
        example = None if self.example is None else replace(self.example, rationale=None)
        return replace(self, example=example)

    @property
    def rationale(self) -> str | None:
        """The rationale that would be learnt."""
        return None if self.example is None else self.example.rationale
