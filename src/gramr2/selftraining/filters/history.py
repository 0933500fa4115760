"""Is the label the same as the previous round's judge gave?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage, ruled


class History(FilterConfig):
    """Keep labels that the previous round's judge gave too, whether they were kept then or not."""

    kind: Literal["history"] = "history"
    stage: ClassVar[Stage] = "decision"
    require_earlier: bool = False
    """drop comparisons not judged in the previous round: all of them in the first round, and with fresh slices of the pool"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:

        def changed(candidate: Candidate) -> Rejection | None:
            label, before = candidate.decision.label, context.earlier.get(candidate.comparison.id)
            if before is None:
                unknown = Rejection(self.name, "the last round gave it no label", None, None)
                return unknown if self.require_earlier else None
            if label is None or label is before:
                return None
            return Rejection(self.name, "the label changed since the last round", label.value, before.value)

        return ruled(candidates, changed)
