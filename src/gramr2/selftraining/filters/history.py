"""Did the label stay what the judge of the last round said?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import HistoryFilter
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, ruled


@dataclass(frozen=True, slots=True)
class History:
    """Drops labels that changed since the last round, whether they were kept then or not."""

    config: HistoryFilter
    name: str = "history"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""

        def changed(candidate: Candidate) -> Rejection | None:
            label, before = candidate.decision.label, context.earlier.get(candidate.comparison.id)
            if before is None:
                unknown = Rejection(self.name, "the last round gave it no label", None, None)
                return unknown if self.config.require_earlier else None
            if label is None or label is before:
                return None
            return Rejection(self.name, "the label changed since the last round", label.value, before.value)

        return ruled(candidates, changed)
