"""Whatever prefers: a generative judge, a Bradley-Terry model, a baseline. Comparisons in, decisions out.

And what a model that casts no votes makes of its log-odds: a decision without judgments, without agreement, and without an
order flip, since it sees no order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.judgment import Decision, LabelProbabilities

CERTAIN = 50.0
"""log-odds that stand for certainty: nothing infinite leaves here"""
_LEVEL = 1e-12
"""|P(A) − P(B)| of responses that are level: a tie whatever the margin"""


class PreferenceModel(Protocol):
    """Says of every comparison which response is better."""

    @property
    def id(self) -> str:
        """Names it in tables and files; another model has another id."""
        ...

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """One decision per comparison, in the order asked; ``seed`` is for what is drawn, if anything is."""
        ...


@dataclass(frozen=True, slots=True)
class Ties:
    """When a model of log-odds answers tie: |P(A) − P(B)| is below ``margin``. P(tie) there is ``probability``."""

    margin: float = 0.0
    probability: float = 1.0


def decided(comparisons: Sequence[Comparison], margins: Sequence[float], ties: Ties) -> list[Decision]:
    """Decisions from the log-odds of A over B: P(A) = σ(margin), and no mass on a tie outside the ties' margin."""
    return [_decision(c.id, m, ties) for c, m in zip(comparisons, margins, strict=True)]


def ties_of(margins: Sequence[float], labeled: Sequence[LabeledComparison]) -> Ties:
    """As many of these comparisons tie as have that label, and P(tie) is the share of those that do have it."""
    truths = [item.label is Label.TIE for item in labeled]
    if not any(truths):
        return Ties()
    margin = margin_for(margins, sum(truths))
    inside = [truth for truth, m in zip(truths, margins, strict=True) if _gap(m) < max(margin, _LEVEL)]
    return Ties(margin, sum(inside) / len(inside) if inside else 1.0)


def margin_for(margins: Sequence[float], count: int) -> float:
    """The margin on |P(A) − P(B)| that so many of these log-odds are below; fewer where equal ones cannot be parted."""
    gaps = sorted(map(_gap, margins))
    if not count:
        return 0.0
    return (gaps[count - 1] + gaps[count]) / 2 if count < len(gaps) else 2.0


def _decision(name: str, margin: float, ties: Ties) -> Decision:
    label, tie = Label.A if margin > 0 else Label.B, 0.0
    if _gap(margin) < max(ties.margin, _LEVEL):
        # However rare ties are, a decision for one says that it is likelier than either response.
        likelier = max(_chance(margin), _chance(-margin))
        label, tie = Label.TIE, max(ties.probability, likelier / (1 + likelier))
    probabilities = LabelProbabilities(_chance(margin) * (1 - tie), _chance(-margin) * (1 - tie), tie)
    return Decision(name, (), label, probabilities, probabilities[label], None, False, 1.0)


def _gap(margin: float) -> float:
    return abs(_chance(margin) - _chance(-margin))


def _chance(margin: float) -> float:
    return 1 / (1 + math.exp(-max(-CERTAIN, min(CERTAIN, margin))))
