"""P(label | rationale), averaged over samples and orders, and calibrated where held-out seed data allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import ConfidenceFilter
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded


@dataclass(frozen=True, slots=True)
class Confidence:
    """Drops labels that the judge is not sure of."""

    config: ConfidenceFilter
    name: str = "confidence"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return bounded(
            candidates,
            context,
            "confidence.threshold",
            self.config.threshold,
            lambda c: c.confidence or 0.0,
            "the label's probability is too low",
            strict=1.0,
        )
