"""Agreement over samples and orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gramr2.config.schedules import Share
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage, bounded, ruled


class Consistency(FilterConfig):
    """Keep labels on which samples and orders agree; a direct reading has a single, unsampled vote per order, so for it only
    the orders need to agree.
    """

    kind: Literal["consistency"] = "consistency"
    stage: ClassVar[Stage] = "decision"
    min_agreement: Share = 0.75
    """minimum share of valid votes that state the label"""
    allow_order_flip: bool = False
    """keep labels on which the two orders, each by itself, disagree"""
    min_coverage: Share = 0.5
    """minimum share of votes that gave a verdict"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        left = bounded(
            candidates,
            context,
            "consistency.min_coverage",
            self.min_coverage,
            lambda c: c.decision.coverage,
            "too many votes failed",
            strict=1.0,
        )
        if not self.allow_order_flip:
            left = ruled(left, self._flipped)
        return bounded(
            left,
            context,
            "consistency.min_agreement",
            self.min_agreement,
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
