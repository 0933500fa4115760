"""Is the rationale about this comparison? Generic ones are as likely without it (GRAM-R², §3, the proof score)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import SpecificFilter
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded, of_rationales


@dataclass(frozen=True, slots=True)
class Specific:
    """Drops rationales of low normalised pointwise mutual information with their comparison.

    A proof has been scored by the model that wrote it, and that score is used; other rationales are scored by the judge.
    """

    config: SpecificFilter
    name: str = "specific"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return of_rationales(candidates, self.config.failed, lambda asked: self._review(asked, context))

    def _review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        if context.readers is None:
            raise RuntimeError("the specific filter needs readers")
        unscored = [c.lesson for c in candidates if "proof_score" not in c.measures and c.lesson is not None]
        scores = iter(context.readers.pmi(unscored))
        measured = [
            c.measured("pmi", 1 + c.measures["proof_score"] if "proof_score" in c.measures else next(scores))
            for c in candidates
        ]
        return bounded(
            measured,
            context,
            "specific.min_pmi",
            self.config.min_pmi,
            lambda c: c.measures["pmi"],
            "the rationale would be as likely for any comparison",
            strict=1.0,
        )
