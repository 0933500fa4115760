"""A judged comparison on its way through the filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.judgment import Decision, Reading


@dataclass(frozen=True, slots=True)
class Candidate:
    """A comparison, what the judge decided about it, and what it would teach.

    ``confidence`` is the decision's, calibrated where the run can. ``example`` is the comparison in the order its rationale
    was written for (``swapped`` when that is not the stored one); None when there is nothing to learn. ``measures`` are
    numbers that filters took or rationale sources left, for the record.
    """

    comparison: Comparison
    decision: Decision
    confidence: float | None
    example: LabeledComparison | None = None
    swapped: bool = False
    measures: Mapping[str, float] = field(default_factory=dict)

    def measured(self, name: str, value: float) -> Candidate:
        """The candidate with one more number."""
        return replace(self, measures={**self.measures, name: value})

    def swap(self) -> Candidate:
        """The same example with its responses exchanged."""
        example = None if self.example is None else self.example.swap()
        return replace(self, example=example, swapped=not self.swapped)

    @property
    def decided_directly(self) -> bool:
        """Whether the label has grounds beside the rationale: the direct reading spoke, so a bad rationale is no
        reason to lose it."""
        return Reading.DIRECT in self.decision.readings

    def bare(self) -> Candidate:
        """The same example without its rationale."""
        example = None if self.example is None else replace(self.example, rationale=None)
        return replace(self, example=example)

    @property
    def rationale(self) -> str | None:
        """What would be learnt as the reason."""
        return None if self.example is None else self.example.rationale
