"""Drops comparisons that the judge did not decide; always the first filter of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, ruled


@dataclass(frozen=True, slots=True)
class Abstention:
    """Drops comparisons without a label."""

    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return ruled(candidates, self._check)

    def _check(self, candidate: Candidate) -> Rejection | None:
        if candidate.decision.label is not None:
            return None
        return Rejection(
            self.name, "no decision: an order gave no verdict", round(candidate.decision.coverage, 4), None
        )
