"""Anything that states a preference: a generative judge, a Bradley-Terry model, a baseline. Comparisons in, decisions out.

Also the decisions of a model that casts no votes, made from its log-odds: without judgments, without agreement, and without
an order flip, since it sees no order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.judgment import Decision, LabelProbabilities

CERTAIN = 50.0
"""log-odds that mean certainty, so that nothing is infinite"""
ENOUGH = 50
"""comparisons that a share of ties can be counted in"""
_LEVEL = 1e-12
"""|P(A) − P(B)| below which responses tie, whatever the margin"""


class PreferenceModel(Protocol):
    """Decides which response of each comparison is better."""

    @property
    def id(self) -> str:
        """Its name in tables and files; different models have different ids."""
        ...

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """One decision per comparison, in the order given; ``seed`` determines what is sampled, if anything is."""
        ...


@dataclass(frozen=True, slots=True)
class Ties:
    """When a model with log-odds answers tie: if |P(A) − P(B)| is below ``margin``. P(tie) is then ``probability``."""

    margin: float = 0.0
    probability: float = 1.0


def decided(comparisons: Sequence[Comparison], margins: Sequence[float], ties: Ties) -> list[Decision]:
    """Decisions from the log-odds of A over B: P(A) = σ(log-odds), and no mass on a tie outside the ties' margin."""
    return [_decision(c.id, m, ties) for c, m in zip(comparisons, margins, strict=True)]


def ties_of(margins: Sequence[float], labeled: Sequence[LabeledComparison], unseen: Sequence[float] = ()) -> Ties:
    """Ties such that as many comparisons tie as have that label; P(tie) is the share of true ties among those that tie, by
    Laplace's rule, so that it leaves something to the likelier response.

    Args:
        margins: log-odds of the labelled comparisons.
        unseen: log-odds of comparisons that the model has not learnt, which set the margin if they are ``ENOUGH``: what it has
            learnt is further apart, and would let too much of everything else tie.
    """
    unseen = unseen if len(unseen) >= ENOUGH else ()
    truths = [item.label is Label.TIE for item in labeled]
    if not any(truths):
        return Ties()
    margin = margin_for(unseen or margins, round(sum(truths) / len(truths) * len(unseen or margins)))
    inside = [truth for truth, m in zip(truths, margins, strict=True) if _gap(m) < max(margin, _LEVEL)]
    # Without a margin only exactly level responses tie, of which none is likelier.
    return Ties(margin, (sum(inside) + 1) / (len(inside) + 2) if inside or margin else 1.0)


def margin_for(margins: Sequence[float], count: int) -> float:
    """The margin on |P(A) − P(B)| that ``count`` of these log-odds are below; fewer if equal ones cannot be separated."""
    gaps = sorted(map(_gap, margins))
    if not count:
        return 0.0
    return (gaps[count - 1] + gaps[count]) / 2 if count < len(gaps) else 2.0


def _decision(name: str, margin: float, ties: Ties) -> Decision:
    if math.isnan(margin):
        # A model that diverged has no opinion: neither a tie nor a distribution.
        return Decision(name, (), None, None, None, None, None, 0.0)
    label, tie = Label.A if margin > 0 else Label.B, 0.0
    if _gap(margin) < max(ties.margin, _LEVEL):
        # However rare ties are, deciding for one means that it is likelier than either response.
        likelier = max(chance(margin), chance(-margin))
        label, tie = Label.TIE, max(ties.probability, likelier / (1 + likelier))
    probabilities = LabelProbabilities(chance(margin) * (1 - tie), chance(-margin) * (1 - tie), tie)
    return Decision(name, (), label, probabilities, probabilities[label], None, False, 1.0)


def _gap(margin: float) -> float:
    return abs(chance(margin) - chance(-margin))


def chance(margin: float) -> float:
    """σ of log-odds."""
    return 1 / (1 + math.exp(-max(-CERTAIN, min(CERTAIN, margin))))
