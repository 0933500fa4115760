"""Always first: a comparison that the judge did not decide, or for which nobody wrote a lesson, teaches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Objection, Stage, ruled


@dataclass(frozen=True, slots=True)
class Abstention:
    """Drops what has no label, or no lesson."""

    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], stage: Stage) -> list[Candidate | Objection]:
        """See ``Filter``."""
        return ruled(candidates, self._check)

    def _check(self, candidate: Candidate) -> Objection | None:
        decision = candidate.decision
        if decision.label is None:
            return Objection(self.name, "no decision: an order gave no verdict", round(decision.coverage, 4), None)
        if candidate.lesson is None:
            return Objection(self.name, "nobody gave a usable reason for the label", decision.label.value, None)
        return None
