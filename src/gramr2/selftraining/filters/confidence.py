"""P(label | rationale), averaged over samples and orders, and calibrated if there are enough held-out seed data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gramr2.config.schedules import Share
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage, bounded


class Confidence(FilterConfig):
    """Keep labels the judge is confident in: the decision's P(label), over readings, samples and both orders, rescaled by a
    temperature fitted on held-out seed comparisons (``data.held_out_share``; with fewer than 16 it stays uncalibrated).
    """

    kind: Literal["confidence"] = "confidence"
    stage: ClassVar[Stage] = "decision"
    threshold: Share = 0.8
    """minimum P(label | rationale), averaged over samples and both orders (0.8 in SSRM)"""
    calibrate: bool = True
    """rescale the probability by a temperature fitted on held-out seed comparisons (``data.held_out_share``); without enough
    of them it is not rescaled, and the run says so"""

    @property
    def calibrates(self) -> bool:
        return self.calibrate

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        return bounded(
            candidates,
            context,
            "confidence.threshold",
            self.threshold,
            lambda c: c.confidence or 0.0,
            "the label's probability is too low",
            strict=1.0,
        )
