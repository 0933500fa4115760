"""Votes of both orders, averaged in probability space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import vote
from gramr2.comparison import Label, Order
from gramr2.judging.voting import decide
from gramr2.judgment import LabelProbabilities, Outcome


def test_an_opinion_that_follows_the_position_is_a_tie() -> None:
    decision = decide("c", [vote(Outcome.A, Order.AB), vote(Outcome.B, Order.BA)])
    assert decision.label is Label.TIE
    assert decision.confidence == 0.0
    assert decision.order_flip is True
    assert decision.agreement == 0.0
    assert decision.best is None


def test_orders_weigh_the_same_whatever_their_failures() -> None:
    votes = [
        vote(Outcome.A, Order.AB, 0, (0.8, 0.2, 0.0)),
        vote(Outcome.TRUNCATED, Order.AB, 1),
        vote(Outcome.B, Order.BA, 0, (0.3, 0.7, 0.0)),
        vote(Outcome.B, Order.BA, 1, (0.3, 0.7, 0.0)),
    ]
    decision = decide("c", votes)
    assert decision.probabilities == LabelProbabilities(pytest.approx(0.55), pytest.approx(0.45), 0.0)  # type: ignore[arg-type]
    assert decision.label is Label.A
    assert decision.agreement == pytest.approx(1 / 3)
    assert decision.coverage == 0.75
    assert decision.order_flip is True


def test_an_order_without_a_verdict_means_abstention() -> None:
    decision = decide(
        "c", [vote(Outcome.A, Order.AB), vote(Outcome.UNPARSEABLE, Order.BA), vote(Outcome.ERROR, Order.BA, 1)]
    )
    assert decision.label is None
    assert decision.confidence is None
    assert decision.order_flip is None
    assert decision.coverage == pytest.approx(1 / 3)
    assert decide("c", []).coverage == 0


def test_one_order_knows_no_flip() -> None:
    decision = decide("c", [vote(Outcome.B, Order.AB, 0, (0.1, 0.7, 0.2))])
    assert decision.label is Label.B
    assert decision.order_flip is None


def test_ties_are_labels() -> None:
    decision = decide("c", [vote(Outcome.TIE, Order.AB), vote(Outcome.TIE, Order.BA)])
    assert (decision.label, decision.confidence, decision.agreement) == (Label.TIE, 1.0, 1.0)


def test_the_best_vote_backs_the_label_most() -> None:
    votes = [
        vote(Outcome.A, Order.AB, 0, (0.6, 0.4, 0.0), "weak"),
        vote(Outcome.A, Order.BA, 0, (0.9, 0.1, 0.0), "strong"),
        vote(Outcome.B, Order.BA, 1, (0.4, 0.6, 0.0), "other"),
    ]
    assert decide("c", votes).rationale == "strong"


outcomes = st.sampled_from(list(Outcome))


@given(st.lists(st.tuples(outcomes, st.sampled_from(list(Order))), max_size=8))
def test_swapping_the_stored_order_swaps_the_decision(drawn: list[tuple[Outcome, Order]]) -> None:
    other = {Order.AB: Order.BA, Order.BA: Order.AB}
    votes = [vote(outcome, order, i) for i, (outcome, order) in enumerate(drawn)]
    swapped = [vote(outcome.swap(), other[order], i) for i, (outcome, order) in enumerate(drawn)]
    one, two = decide("c", votes), decide("c", swapped)
    assert (one.label.swap() if one.label else None) is two.label
    assert one.coverage == two.coverage
    assert one.order_flip == two.order_flip
