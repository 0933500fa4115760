"""A second view of the pool: a cheap model on other features, fitted on the same seed, that helps to label (co-training).

A judge that learns from its own confident labels only learns what it already knew. A model that makes different mistakes
moves the labels where the two disagree. Their margins, each in units of its own spread over the slice, are summed (Blum
and Mitchell 1998; the sum is that of a product of experts).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gramr2.comparison import Label
from gramr2.judging.voting import said, top_label
from gramr2.judgment import Decision, LabelProbabilities

_FLOOR = 1e-6


def joined(
    decisions: Sequence[Decision],
    margins: Mapping[str, float],
    weight: float,
    cap: float | None = None,
    *,
    ties: bool = True,
) -> list[Decision]:
    """The decisions with the second view's margins added to the judge's.

    P(tie) stays the judge's; the rest is split between A and B by σ of the summed margins, in the judge's own scale. A
    comparison is unchanged if the judge abstains on it or the view has no margin for it. The view casts no votes, so
    ``agreement`` and ``order_flip`` still describe the judge's votes.

    Args:
        margins: the view's log-odds of A over B, by comparison id.
        weight: weight of the view; the judge's is 1.
        cap: limit on the judge's margin, in units of its spread; None for no limit.
        ties: whether a vote may count for a tie.
    """
    own = {d.id: _log_odds(d.probabilities) for d in decisions if d.probabilities is not None and d.id in margins}
    scale, other = _spread(list(own.values())), _spread([margins[name] for name in own])
    if not own or not other:
        return list(decisions)
    most = math.inf if cap is None else cap * scale
    result: list[Decision] = []
    for decision in decisions:
        probabilities = decision.probabilities
        if probabilities is None or decision.id not in own:
            result.append(decision)
            continue
        total = max(-most, min(most, own[decision.id])) + weight * margins[decision.id] * scale / other
        first = 1 / (1 + math.exp(-max(-50.0, min(50.0, total / (1 + weight)))))
        left = 1 - probabilities.tie
        belief = LabelProbabilities(left * first, left * (1 - first), probabilities.tie)
        label = top_label(belief)
        valid = [said(vote, ties) for vote in decision.judgments if vote.outcome.label is not None]
        agreement = sum(each is label for each in valid) / len(valid) if valid else decision.agreement
        result.append(
            replace(decision, label=label, probabilities=belief, confidence=belief[label], agreement=agreement)
        )
    return result


def as_probabilities(margins: Mapping[str, float]) -> dict[str, LabelProbabilities]:
    """A view's log-odds as label probabilities for the second_view filter; P(tie) is 0, as the view has two labels."""
    found: dict[str, LabelProbabilities] = {}
    for name, margin in margins.items():
        first = 1 / (1 + math.exp(-max(-50.0, min(50.0, margin))))
        found[name] = LabelProbabilities(first, 1 - first, 0.0)
    return found


def _log_odds(probabilities: LabelProbabilities) -> float:
    return math.log(max(probabilities[Label.A], _FLOOR)) - math.log(max(probabilities[Label.B], _FLOOR))


def _spread(values: Sequence[float]) -> float:
    """Root mean square; no mean is subtracted, because over both orders the margins are symmetric about 0."""
    return math.sqrt(sum(v * v for v in values) / len(values)) if values else 0.0
