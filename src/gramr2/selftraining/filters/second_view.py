"""Does a second, cheaper model, trained on the same seed but with other features, find the label likely too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from gramr2.comparison import Label
from gramr2.config.schedules import Share
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage, bounded


class SecondView(FilterConfig):
    """Keep labels that a second, cheaper model trained on the same seed finds likely; comparisons it does not cover are
    dropped.
    """

    kind: Literal["second_view"] = "second_view"
    stage: ClassVar[Stage] = "decision"
    needs_second_view: ClassVar[bool] = True
    measures: ClassVar[Mapping[str, str]] = {
        "second_view": "P(label) among A and B under the second view; for a tie, which it may not know, 1 − |P(A) − P(B)|"
    }
    view: Literal["bag-of-words", "frozen-features"] | None = None
    """which model: frozen-features (Bradley-Terry on the backbone's hidden states) or bag-of-words; the default is the run's
    ``second_view``, or frozen-features if it has none"""
    min_probability: Share = 0.5
    """minimum probability of label A or B under the second view, renormalised over the two, as it may not model ties"""
    max_tie_gap: Share = 0.2
    """a tie passes if the second view's P(A) and P(B) are at most this far apart"""

    @property
    def view_named(self) -> str | None:
        return self.view

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        unknown = Rejection(self.name, "the second view does not cover it", None, None)
        left: list[Candidate | Rejection] = []
        for candidate in candidates:
            belief, label = context.second_view.get(candidate.comparison.id), candidate.decision.label
            if belief is None or label is None:
                left.append(unknown)
            else:
                left.append(candidate.measured(self.name, _support(belief, label)))
        left = bounded(
            left,
            context,
            "second_view.min_probability",
            self.min_probability,
            lambda c: None if c.decision.label is Label.TIE else c.measures[self.name],
            "the second view finds the label unlikely",
            strict=1.0,
        )
        return bounded(
            left,
            context,
            "second_view.max_tie_gap",
            self.max_tie_gap,
            lambda c: 1 - c.measures[self.name] if c.decision.label is Label.TIE else None,
            "the second view prefers a response",
            at_least=False,
            strict=0.0,
        )


def _support(belief: LabelProbabilities, label: Label) -> float:
    if label is Label.TIE:
        return 1 - abs(belief.a - belief.b)
    decided = belief.a + belief.b
    # A view that is certain of a tie supports neither response.
    return belief[label] / decided if decided > 0 else 0.0
