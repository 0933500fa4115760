"""What each reading of a verdict counts: fitted on labels, or told from how far the orders agree."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from conftest import vote
from gramr2.comparison import Label, Order
from gramr2.evaluation.readings import combined, fit_weights, order_agreement
from gramr2.judging.voting import decide
from gramr2.judgment import ANSWERED, BOTH, Decision, LabelProbabilities, Outcome, Reading, ReadingWeights

SURE_A, SURE_B = LabelProbabilities(0.8, 0.15, 0.05), LabelProbabilities(0.15, 0.8, 0.05)


def _noisy(label: Label, right: float, rng: random.Random) -> LabelProbabilities:
    says_a = (label is Label.A) == (rng.random() < right)
    return SURE_A if says_a else SURE_B


@pytest.mark.parametrize(("direct", "reasoned", "better"), [(0.9, 0.55, Reading.DIRECT), (0.55, 0.9, Reading.REASONED)])
def test_the_reading_that_is_right_more_often_gets_the_weight(direct: float, reasoned: float, better: Reading) -> None:
    rng = random.Random(3)
    labels = [Label.A, Label.B] * 40
    readings = [
        {Reading.DIRECT: _noisy(label, direct, rng), Reading.REASONED: _noisy(label, reasoned, rng)} for label in labels
    ]
    fit = fit_weights(readings, labels, [*ANSWERED])
    other = next(each for each in Reading if each is not better)
    assert fit.weights[better] > 2 * fit.weights[other]
    assert fit.accuracy > 0.8
    assert fit.loss <= fit_weights(readings, labels, [other]).loss


def test_an_unused_reading_has_no_weight() -> None:
    readings = [{Reading.DIRECT: SURE_A}, {Reading.DIRECT: SURE_B}]
    assert fit_weights(readings, [Label.A, Label.B], [Reading.DIRECT]).weights.reasoned == 0


def test_confident_mistakes_lower_the_weight() -> None:
    """The weight is a temperature too: a reading that is sure and often wrong is flattened."""
    labels = [Label.A] * 10 + [Label.B] * 10
    bragging = LabelProbabilities(0.998, 0.001, 0.001)
    fit = fit_weights([{Reading.DIRECT: bragging}] * 20, labels, [Reading.DIRECT])
    assert fit.weights.direct < 0.2


def test_without_a_reading_nothing_is_said() -> None:
    assert combined({}, BOTH) == LabelProbabilities(1 / 3, 1 / 3, 1 / 3)
    assert combined({Reading.DIRECT: SURE_A}, ReadingWeights(0.0, 1.0)) == LabelProbabilities(1 / 3, 1 / 3, 1 / 3)


def _decision(first: Outcome, second: Outcome, reading: Reading = Reading.DIRECT) -> Decision:
    """Two votes, in the stored order's labels."""
    votes = [replace(vote(first), reading=reading), replace(vote(second, Order.BA), reading=reading)]
    return decide("c", votes)


def test_agreement_of_orders() -> None:
    a, b, tie = Outcome.A, Outcome.B, Outcome.TIE
    agrees = [_decision(a, a), _decision(b, b)] * 10
    assert order_agreement(agrees, Reading.DIRECT) == pytest.approx(1)
    # Position alone: always the response that stands first.
    assert order_agreement([_decision(a, b)] * 20, Reading.DIRECT) == pytest.approx(0)
    assert (order_agreement([_decision(a, b), _decision(b, a)] * 10, Reading.DIRECT) or 0) < 0
    # Always tie agrees with itself, but no more than chance has it.
    assert order_agreement([_decision(tie, tie)] * 20, Reading.DIRECT) == 0
    half = [_decision(a, a), _decision(b, b), _decision(a, b), _decision(b, a)] * 5
    assert order_agreement(half, Reading.DIRECT) == pytest.approx(0)
    assert order_agreement(agrees, Reading.REASONED) is None


def test_an_order_that_abstains_agrees_with_nothing() -> None:
    decisions = [_decision(Outcome.A, Outcome.A), _decision(Outcome.B, Outcome.B)] * 5
    less = [*decisions, *[_decision(Outcome.A, Outcome.TRUNCATED)] * 10]
    assert (order_agreement(less, Reading.DIRECT) or 0) < (order_agreement(decisions, Reading.DIRECT) or 0)
