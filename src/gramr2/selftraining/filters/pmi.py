"""Is the rationale about this comparison? A generic one is as likely without it (GRAM-R², §3, the proof score)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from gramr2.config.schedules import Pmi
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Failed, FilterConfig, FilterContext, Rejection, bounded, of_rationales


class PointwiseMutualInformation(FilterConfig):
    """Keep rationales that are more likely given their comparison than without it: normalised PMI, which is the proof score
    plus 1; two prefills each.

    A proof keeps the score from the model that wrote it; other rationales are scored by the judge.
    """

    kind: Literal["pmi"] = "pmi"
    needs_rationale: ClassVar[bool] = True
    formerly: ClassVar[str | None] = "specific"
    measures: ClassVar[Mapping[str, str]] = {
        "pmi": "normalised pointwise mutual information of rationale and comparison"
    }
    min_pmi: Pmi = 0.0
    """minimum normalised pointwise mutual information 1 − log π(z|s) / log π(z), which is the proof score of GRAM-R² plus 1"""
    failed: Failed = "auto"
    """as in the rationale filter"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        return of_rationales(candidates, self.failed, lambda asked: self._review(asked, context))

    def _review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        if context.readers is None:
            raise RuntimeError("the pmi filter needs readers")
        unscored = [c.example for c in candidates if "proof_score" not in c.measures and c.example is not None]
        scores = iter(context.readers.pmi(unscored))
        measured = [
            c.measured("pmi", 1 + c.measures["proof_score"] if "proof_score" in c.measures else next(scores))
            for c in candidates
        ]
        return bounded(
            measured,
            context,
            "pmi.min_pmi",
            self.min_pmi,
            lambda c: c.measures["pmi"],
            "the rationale would be as likely for any comparison",
            strict=1.0,
        )
