"""Did the label stay what the judge of the last round said?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import HistoryFilter
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Objection, Stage, ruled


@dataclass(frozen=True, slots=True)
class History:
    """Drops labels that changed since the last round, whether they were kept then or not."""

    config: HistoryFilter
    name: str = "history"

    def review(self, candidates: Sequence[Candidate], stage: Stage) -> list[Candidate | Objection]:
        """See ``Filter``."""

        def changed(candidate: Candidate) -> Objection | None:
            label, before = candidate.decision.label, stage.earlier.get(candidate.comparison.id)
            if before is None:
                unknown = Objection(self.name, "the last round gave it no label", None, None)
                return unknown if self.config.require_earlier else None
            if label is None or label is before:
                return None
            return Objection(self.name, "the label changed since the last round", label.value, before.value)

        return ruled(candidates, changed)
