"""Does a second, cheaper model that learnt from the same seed, but looks at other features, find the label likely too?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.comparison import Label
from gramr2.config.filters import SecondViewFilter
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection, bounded


@dataclass(frozen=True, slots=True)
class SecondView:
    """Drops labels that the second view finds unlikely, and those it knows nothing of.

    The measure ``second_view`` is P(label) among A and B; for a tie, which the view may not know, 1 − |P(A) − P(B)|.
    """

    config: SecondViewFilter
    name: str = "second_view"

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        unknown = Rejection(self.name, "the second view knows nothing of it", None, None)
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
            self.config.min_probability,
            lambda c: None if c.decision.label is Label.TIE else c.measures[self.name],
            "the second view finds the label unlikely",
            strict=1.0,
        )
        return bounded(
            left,
            context,
            "second_view.max_tie_gap",
            self.config.max_tie_gap,
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
