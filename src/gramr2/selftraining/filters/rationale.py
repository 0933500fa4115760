"""Form and support of the rationale that would be learnt (the rule checks of GRAM-R², §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.config.filters import RationaleFilter
from gramr2.judging.template import CONCLUSIONS
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded, of_rationales, ruled
from gramr2.selftraining.quality import Conclusion, Quality, assess


@dataclass(frozen=True, slots=True)
class Rationale:
    """Drops rationales that are missing, too short or long, repetitive, one-sided, misquoting, or conclude something else."""

    config: RationaleFilter
    name: str = "rationale"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return of_rationales(candidates, self.config.failed, lambda asked: self._review(asked, context))

    def _review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        qualities = {c.comparison.id: assess(c.lesson, context.principles) for c in candidates if c.lesson is not None}

        def of(candidate: Candidate) -> Quality:
            return qualities[candidate.comparison.id]

        left = ruled(candidates, lambda c: None if c.rationale else Rejection(self.name, "there is none", None, None))
        config, place = self.config, self.name
        left = bounded(left, context, f"{place}.min_words", config.min_words, lambda c: of(c).words, "it is too short")
        left = bounded(
            left,
            context,
            f"{place}.max_words",
            config.max_words,
            lambda c: of(c).words,
            "it is too long",
            at_least=False,
        )
        left = bounded(
            left,
            context,
            f"{place}.max_repetition",
            config.max_repetition,
            lambda c: of(c).repetition,
            "it repeats itself",
            at_least=False,
            strict=0.0,
        )
        left = ruled(left, lambda c: self._structure(c, of(c)))
        left = bounded(
            left,
            context,
            f"{place}.min_quotes",
            config.min_quotes,
            lambda c: of(c).quotes,
            "it quotes what nobody wrote",
            strict=1.0,
        )
        if context.principles:
            left = bounded(
                left,
                context,
                f"{place}.min_principles",
                config.min_principles,
                lambda c: of(c).principles,
                "it leaves principles out",
                strict=1.0,
            )
        return [
            each if isinstance(each, Rejection) else each.measured("quality", round(of(each).score, 4)) for each in left
        ]

    def _structure(self, candidate: Candidate, quality: Quality) -> Rejection | None:
        if self.config.names_both and not quality.names_both:
            return Rejection(self.name, "it does not speak of both responses", None, None)
        if self.config.require_conclusion and candidate.lesson is not None:
            expected = CONCLUSIONS[candidate.lesson.label]
            if quality.conclusion is Conclusion.MISSING:
                return Rejection(self.name, "it has no conclusion", None, expected)
            if quality.conclusion is Conclusion.CONTRADICTS:
                return Rejection(
                    self.name, "its conclusion does not state its label", quality.conclusion.value, expected
                )
        return None
