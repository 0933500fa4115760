"""Do the two readings of the verdict, before the rationale and after it, agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.comparison import Label
from gramr2.config.filters import ReadingsFilter
from gramr2.judging.voting import top_label
from gramr2.judgment import LabelProbabilities, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded, ruled


@dataclass(frozen=True, slots=True)
class Readings:
    """Drops labels that a reading does not name, or names by too small a lead.

    Measures: ``readings``, how many there are; ``readings_margin``, the smaller lead, where there are two. With fewer than
    two there is nothing to compare, and the candidate passes.
    """

    config: ReadingsFilter
    name: str = "readings"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return bounded(
            ruled([_measured(c) for c in candidates], self._contradicted),
            context,
            "readings.min_margin",
            self.config.min_margin,
            lambda c: c.measures.get("readings_margin"),
            "a reading hardly prefers the label",
            strict=1.0,
        )

    def _contradicted(self, candidate: Candidate) -> Rejection | None:
        label, readings = candidate.decision.label, candidate.decision.readings
        if label is None or len(readings) < len(Reading):
            return None
        for reading in Reading:
            named = top_label(readings[reading])
            if named is not label:
                reason = f"the {reading.value} reading names another label"
                return Rejection(self.name, reason, named.value, label.value)
        return None


def _measured(candidate: Candidate) -> Candidate:
    label, readings = candidate.decision.label, candidate.decision.readings
    counted = candidate.measured("readings", len(readings))
    if label is None or len(readings) < len(Reading):
        return counted
    return counted.measured("readings_margin", min(_lead(each, label) for each in readings.values()))


def _lead(belief: LabelProbabilities, label: Label) -> float:
    return belief[label] - max(belief[other] for other in Label if other is not label)
