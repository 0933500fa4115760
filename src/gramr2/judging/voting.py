"""From sampled judgments of both orders to one decision.

Beliefs are averaged, not counted: first over the votes of an order, then over the orders, so that an order with more
failures does not weigh less. An opinion that merely follows the position cancels out (GenRM; TrustJudge).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from scipy.stats import beta

from gramr2.comparison import Label, Order
from gramr2.judgment import Decision, Judgment, LabelProbabilities


def belief(judgment: Judgment) -> LabelProbabilities | None:
    """What a vote says as a distribution; a vote without probabilities is certain of its label, a failed one says nothing."""
    label = judgment.outcome.label
    if label is None:
        return None
    return judgment.probabilities or LabelProbabilities.certain(label)


def average(beliefs: Sequence[LabelProbabilities]) -> LabelProbabilities:
    """The mean of at least one distribution."""
    return LabelProbabilities(fmean(b.a for b in beliefs), fmean(b.b for b in beliefs), fmean(b.tie for b in beliefs))


def top_label(probabilities: LabelProbabilities) -> Label:
    """The most probable label. A and B exactly level, as when a judge follows the position only, is a tie."""
    if probabilities.tie >= max(probabilities.a, probabilities.b) or abs(probabilities.a - probabilities.b) < 1e-12:
        return Label.TIE
    return Label.A if probabilities.a > probabilities.b else Label.B


def decide(comparison_id: str, judgments: Sequence[Judgment]) -> Decision:
    """Aggregate all judgments of one comparison.

    Every order that was asked for must have given a verdict: one order alone carries the position bias that asking both is
    there to remove, so the judge abstains otherwise.
    """
    asked = sorted({vote.order for vote in judgments})
    by_order = {order: [b for vote in judgments if vote.order is order and (b := belief(vote))] for order in asked}
    valid = [vote for vote in judgments if vote.outcome.label is not None]
    coverage = len(valid) / len(judgments) if judgments else 0.0
    if not judgments or not all(by_order.values()):
        return Decision(comparison_id, tuple(judgments), None, None, None, None, None, coverage)
    per_order = {order: average(beliefs) for order, beliefs in by_order.items()}
    combined = average(list(per_order.values()))
    label = top_label(combined)
    return Decision(
        id=comparison_id,
        judgments=tuple(judgments),
        label=label,
        probabilities=combined,
        confidence=combined[label],
        agreement=sum(vote.outcome.label is label for vote in valid) / len(valid),
        order_flip=None if len(asked) < len(Order) else len({top_label(p) for p in per_order.values()}) > 1,
        coverage=coverage,
    )


def is_settled(decision: Decision, certainty: float) -> bool:
    """Whether more votes are unlikely to change the majority (adaptive consistency, Aggarwal et al. 2023, the Beta criterion).

    With v₁ votes for the leading label and v₂ for the next, P(leading > next) under Beta(v₁+1, v₂+1) must reach
    ``certainty``. While the orders contradict each other, or the averaged label is not the majority's, nothing is settled.
    """
    counts = sorted((sum(vote.outcome.label is label for vote in decision.judgments), label) for label in Label)
    (second, _), (first, leading) = counts[-2], counts[-1]
    if decision.label is not leading or decision.order_flip:
        return False
    return float(beta.sf(0.5, first + 1, second + 1)) >= certainty
