"""Form and support of the rationale that would be learnt (the rule checks of GRAM-R², §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import model_validator

from gramr2.config.schedules import Share, Words
from gramr2.judging.template import CONCLUSIONS
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import (
    Failed,
    FilterConfig,
    FilterContext,
    Rejection,
    bounded,
    of_rationales,
    ruled,
)
from gramr2.selftraining.rationales.quality import Conclusion, Quality, assess


class Rationale(FilterConfig):
    """Keep well-formed rationales: length, repetition, both responses named, the conclusion states the label, quotations occur
    in the text, ``judge.principles`` are addressed (rule checks of GRAM-R², §3).
    """

    kind: Literal["rationale"] = "rationale"
    needs_rationale: ClassVar[bool] = True
    measures: ClassVar[Mapping[str, str]] = {"quality": "length, repetition, structure and quotations in one number"}
    min_words: Words = 8
    """shorter ones explain nothing"""
    max_words: Words = 300
    """longer ones ramble"""
    max_repetition: Share = 0.3
    """maximum share of word 4-grams that are repeats"""
    names_both: bool = True
    """Response A and Response B must both be mentioned, by name or as “both” or “each response”"""
    require_conclusion: bool = True
    """a Conclusion line must be present and state the label"""
    min_quotes: Share = 1.0
    """minimum share of its quotations that occur in the prompt or a response; without quotations it counts as 1"""
    min_principles: Share = 1.0
    """minimum share of ``judge.principles`` that it addresses; without principles it counts as 1"""
    failed: Failed = "auto"
    """see ``Failed``"""

    @model_validator(mode="after")
    def _bounds(self) -> Rationale:
        low, high = self.min_words, self.max_words
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise ValueError(f"min_words {low:g} is above max_words {high:g}")
        return self

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        return of_rationales(candidates, self.failed, lambda asked: self._review(asked, context))

    def _review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        qualities = {
            c.comparison.id: assess(c.example, context.principles) for c in candidates if c.example is not None
        }

        def of(candidate: Candidate) -> Quality:
            return qualities[candidate.comparison.id]

        left = ruled(
            candidates, lambda c: None if c.rationale else Rejection(self.name, "there is no rationale", None, None)
        )
        place = self.name
        left = bounded(left, context, f"{place}.min_words", self.min_words, lambda c: of(c).words, "it is too short")
        left = bounded(
            left,
            context,
            f"{place}.max_words",
            self.max_words,
            lambda c: of(c).words,
            "it is too long",
            at_least=False,
        )
        left = bounded(
            left,
            context,
            f"{place}.max_repetition",
            self.max_repetition,
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
            self.min_quotes,
            lambda c: of(c).quotes,
            "it contains invented quotations",
            strict=1.0,
        )
        if context.principles:
            left = bounded(
                left,
                context,
                f"{place}.min_principles",
                self.min_principles,
                lambda c: of(c).principles,
                "it does not address all principles",
                strict=1.0,
            )
        return [
            each if isinstance(each, Rejection) else each.measured("quality", round(of(each).score, 4)) for each in left
        ]

    def _structure(self, candidate: Candidate, quality: Quality) -> Rejection | None:
        if self.names_both and not quality.names_both:
            return Rejection(self.name, "it does not mention both responses", None, None)
        if self.require_conclusion and candidate.example is not None:
            expected = CONCLUSIONS[candidate.example.label]
            if quality.conclusion is Conclusion.MISSING:
                return Rejection(self.name, "it has no conclusion", None, expected)
            if quality.conclusion is Conclusion.CONTRADICTS:
                return Rejection(
                    self.name, "its conclusion does not state its label", quality.conclusion.value, expected
                )
        return None
