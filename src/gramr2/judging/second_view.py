"""A second opinion on a comparison: a cheap model on other features, whose log-odds are added to those of the judge's answers.

A model that makes different mistakes moves the verdicts where the two disagree; the sum is that of a product of experts.
Each margin is in units of its own spread over unlabelled comparisons, as neither is calibrated from few labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Comparison, Label
from gramr2.hashing import text_hash
from gramr2.judging.preference import chance
from gramr2.judgment import FLOOR, LabelProbabilities


class Margins(Protocol):
    """A model that gives log-odds, such as a baseline."""

    @property
    def id(self) -> str:
        """Its name and a digest of its weights."""
        ...

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """Log-odds of A over B for each comparison; exchanging the responses changes the sign."""
        ...


@dataclass(frozen=True, slots=True)
class Opinion:
    """The second view of one comparison.

    Args:
        margin: its log-odds of A over B.
        scale: what makes them comparable to the judge's: the ratio of the two spreads.
        weight: weight of its margin; the judge's is 1.
        most: limit on the judge's own log-odds; infinity for none.
    """

    margin: float
    scale: float = 1.0
    weight: float = 1.0
    most: float = math.inf

    @property
    def alone(self) -> LabelProbabilities:
        """What the view says by itself, in its own scale; it knows no tie."""
        first = chance(self.margin)
        return LabelProbabilities(first, 1 - first, 0.0)

    def joined(self, belief: LabelProbabilities) -> LabelProbabilities:
        """The judge's belief with the view's margin added: P(tie) stays, and σ of the weighted mean of both margins splits the
        rest."""
        own = max(-self.most, min(self.most, log_odds(belief)))
        first = chance((own + self.weight * self.margin * self.scale) / (1 + self.weight))
        left = 1 - belief.tie
        return LabelProbabilities(left * first, left * (1 - first), belief.tie)


@dataclass(frozen=True, slots=True)
class SecondView:
    """A model that is asked beside the judge, and how its margins are counted; the fields are those of ``Opinion``."""

    model: Margins
    scale: float
    weight: float = 1.0
    most: float = math.inf

    @property
    def id(self) -> str:
        """The model's, with the weight of its margin and a digest of how both margins are counted."""
        counted = text_hash(repr((self.scale, self.weight, self.most)), 6)
        return f"{self.weight:g}*{self.model.id}-{counted}"

    def opinions(self, comparisons: Sequence[Comparison]) -> list[Opinion]:
        """The view of each comparison."""
        return [Opinion(margin, self.scale, self.weight, self.most) for margin in self.model.margins(comparisons)]


def log_odds(belief: LabelProbabilities) -> float:
    """Log-odds of A over B."""
    return math.log(max(belief[Label.A], FLOOR)) - math.log(max(belief[Label.B], FLOOR))


def spread(margins: Sequence[float]) -> float:
    """Root mean square; no mean is subtracted, because over both orders the margins are symmetric about 0."""
    return math.sqrt(sum(each * each for each in margins) / len(margins)) if margins else 0.0
