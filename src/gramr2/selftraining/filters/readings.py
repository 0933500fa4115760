"""Do the two readings of the verdict, before the rationale and after it, agree?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from gramr2.comparison import Label
from gramr2.config.schedules import Share
from gramr2.judging.voting import top_label
from gramr2.judgment import ANSWERED, LabelProbabilities
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage, bounded, ruled


class Readings(FilterConfig):
    """Keep labels on which both readings of the verdict agree, before the rationale and after it; with only one reading, every
    label passes.
    """

    kind: Literal["readings"] = "readings"
    stage: ClassVar[Stage] = "decision"
    measures: ClassVar[Mapping[str, str]] = {
        "readings": "how many readings there are",
        "readings_margin": "the smaller lead, where there are two",
    }
    min_margin: Share = 0.0
    """minimum lead of the label's probability over the runner-up's, in each reading"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        return bounded(
            ruled([_measured(c) for c in candidates], self._contradicted),
            context,
            "readings.min_margin",
            self.min_margin,
            lambda c: c.measures.get("readings_margin"),
            "the lead of the label is too small in a reading",
            strict=1.0,
        )

    def _contradicted(self, candidate: Candidate) -> Rejection | None:
        label, readings = candidate.decision.label, candidate.decision.readings
        if label is None or len(readings) < len(ANSWERED):
            return None
        for reading in ANSWERED:
            named = top_label(readings[reading])
            if named is not label:
                reason = f"the {reading.value} reading names another label"
                return Rejection(self.name, reason, named.value, label.value)
        return None


def _measured(candidate: Candidate) -> Candidate:
    label, readings = candidate.decision.label, candidate.decision.readings
    counted = candidate.measured("readings", len(readings))
    if label is None or len(readings) < len(ANSWERED):
        return counted
    return counted.measured("readings_margin", min(_lead(each, label) for each in readings.values()))


def _lead(belief: LabelProbabilities, label: Label) -> float:
    return belief[label] - max(belief[other] for other in Label if other is not label)
