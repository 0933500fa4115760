"""From judgments in both orders, of one reading or two, to one decision.

Beliefs are averaged, not counted: first over the votes of an order, then over the orders, so that an order with more
failures does not weigh less. An opinion that merely follows the position cancels out (GenRM; TrustJudge). The orders of
a direct reading are averaged in log space, as in its loss (``gramr2.training.verdict``), because its probabilities are
not averages yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from gramr2.comparison import Label, Order
from gramr2.judging.second_view import Opinion
from gramr2.judgment import ANSWERED, BOTH, FLOOR, Decision, Judgment, LabelProbabilities, Reading, ReadingWeights


def belief(judgment: Judgment, ties: bool = True) -> LabelProbabilities | None:
    """A vote as a distribution; a vote without probabilities is certain of its label, and a failed vote has none."""
    label = judgment.outcome.label
    if label is None:
        return None
    found = judgment.probabilities or LabelProbabilities.certain(label)
    return found if ties else found.without_tie()


def average(beliefs: Sequence[LabelProbabilities]) -> LabelProbabilities:
    """The mean of one or more distributions."""
    return LabelProbabilities(fmean(b.a for b in beliefs), fmean(b.b for b in beliefs), fmean(b.tie for b in beliefs))


def weighted(beliefs: Sequence[tuple[LabelProbabilities, float]]) -> LabelProbabilities:
    """Distributions combined in log space, each with a weight."""
    logs = [sum(weight * math.log(max(belief[label], FLOOR)) for belief, weight in beliefs) for label in Label]
    top = max(logs)
    shares = [math.exp(value - top) for value in logs]
    return LabelProbabilities(*(share / sum(shares) for share in shares))


def top_label(probabilities: LabelProbabilities) -> Label:
    """The most probable label. If A and B are exactly level, as for a judge that only follows the position, it is a tie."""
    if probabilities.tie >= max(probabilities.a, probabilities.b) or abs(probabilities.a - probabilities.b) < 1e-12:
        return Label.TIE
    return Label.A if probabilities.a > probabilities.b else Label.B


def decide(
    comparison_id: str,
    judgments: Sequence[Judgment],
    weights: ReadingWeights = BOTH,
    opinion: Opinion | None = None,
) -> Decision:
    """Aggregate all judgments of one comparison, and the second view's opinion on it, if there is one.

    A reading counts only if every order that was asked for has a verdict: one order alone carries the position bias that
    asking in both removes. The judge abstains if no reading is left; if one is left, it decides alone.
    """
    valid = [vote for vote in judgments if vote.outcome.label is not None]
    coverage = len(valid) / len(judgments) if judgments else 0.0
    found = {reading: _by_order([v for v in judgments if v.reading is reading], weights.ties) for reading in ANSWERED}
    orders = {reading: each for reading, each in found.items() if each and weights[reading] > 0}
    if not orders:
        return Decision(comparison_id, tuple(judgments), None, None, None, None, None, coverage)
    readings = {reading: _orders_combined(each, reading) for reading, each in orders.items()}
    combined = _readings_combined(readings, weights)
    if not weights.ties:
        # The tie still has a trace of probability, from the floor of its logarithm.
        readings = {reading: each.without_tie() for reading, each in readings.items()}
        combined = combined.without_tie()
    asked = sorted(next(iter(orders.values())))
    per_order = [_readings_combined({r: each[order] for r, each in orders.items()}, weights) for order in asked]
    if opinion is not None:
        readings |= {Reading.VIEW: opinion.alone}
        combined, per_order = opinion.joined(combined), [opinion.joined(each) for each in per_order]
    label = top_label(combined)
    cast = counted([vote for vote in valid if vote.reading in orders])
    return Decision(
        id=comparison_id,
        judgments=tuple(judgments),
        label=label,
        probabilities=combined,
        confidence=combined[label],
        agreement=sum(said(vote, weights.ties) is label for vote in cast) / len(cast),
        order_flip=None if len(asked) < len(Order) else len({top_label(each) for each in per_order}) > 1,
        coverage=coverage,
        readings=readings,
    )


def counted(votes: Sequence[Judgment]) -> list[Judgment]:
    """The valid votes among which agreement is counted: the reasoned ones, if there are any. A direct reading has one vote per
    order, and shows less how far a judge agrees with itself."""
    valid = [vote for vote in votes if vote.outcome.label is not None]
    return [vote for vote in valid if vote.reading is Reading.REASONED] or valid


def said(vote: Judgment, ties: bool) -> Label | None:
    """The label that a vote supports."""
    found = belief(vote, ties)
    return vote.outcome.label if ties or found is None else top_label(found)


def _by_order(votes: Sequence[Judgment], ties: bool) -> dict[Order, LabelProbabilities] | None:
    """The mean belief of a reading in each order; None if an order has no verdict."""
    beliefs = {
        order: [b for vote in votes if vote.order is order and (b := belief(vote, ties))]
        for order in {v.order for v in votes}
    }
    return {order: average(each) for order, each in beliefs.items()} if votes and all(beliefs.values()) else None


def _orders_combined(orders: Mapping[Order, LabelProbabilities], reading: Reading) -> LabelProbabilities:
    each = [orders[order] for order in sorted(orders)]
    return weighted([(b, 1 / len(each)) for b in each]) if reading is Reading.DIRECT else average(each)


def _readings_combined(found: Mapping[Reading, LabelProbabilities], weights: ReadingWeights) -> LabelProbabilities:
    # One reading alone keeps its own probabilities, to the last digit.
    if len(found) == 1 and weights[next(iter(found))] == 1:
        return next(iter(found.values()))
    return weighted([(belief, weights[reading]) for reading, belief in found.items()])


def is_settled(decision: Decision, certainty: float, ties: bool = True) -> bool:
    """Whether more votes are unlikely to change the majority (adaptive consistency, Aggarwal et al. 2023, the Beta criterion).

    With v₁ votes for the leading label and v₂ for the next, P(leading > next) under Beta(v₁+1, v₂+1) must reach
    ``certainty``. While the orders contradict each other, or the averaged label is not the majority's, nothing is settled.
    """
    counts = sorted((sum(said(vote, ties) is label for vote in decision.judgments), label) for label in Label)
    (second, _), (first, leading) = counts[-2], counts[-1]
    if decision.label is not leading or decision.order_flip:
        return False
    from scipy.special import betainc  # slow to import, and seldom needed

    return float(betainc(second + 1, first + 1, 0.5)) >= certainty
