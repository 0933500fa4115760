"""Agreement over samples and orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import ConsistencyFilter
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded, ruled


@dataclass(frozen=True, slots=True)
class Consistency:
    """Drops order flips, disagreement, and labels on which too many votes failed."""

    config: ConsistencyFilter
    name: str = "consistency"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        left = bounded(
            candidates,
            context,
            "consistency.min_coverage",
            self.config.min_coverage,
            lambda c: c.decision.coverage,
            "too many votes failed",
            strict=1.0,
        )
        if not self.config.allow_order_flip:
            left = ruled(left, self._flipped)
        return bounded(
            left,
            context,
            "consistency.min_agreement",
            self.config.min_agreement,
            lambda c: c.decision.agreement or 0.0,
            "the votes disagree",
            strict=1.0,
        )

    def _flipped(self, candidate: Candidate) -> Rejection | None:
        return (
            Rejection(self.name, "the two orders disagree", "flip", "no flip")
            if candidate.decision.order_flip
            else None
        )
