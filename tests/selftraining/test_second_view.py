"""Pseudo-labels of a judge and a second view together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import vote
from gramr2.comparison import Label, Order
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Outcome, Reading, ReadingWeights
from gramr2.selftraining.second_view import as_probabilities, joined


def _decided(name: str, a: float, tie: float = 0.0) -> Decision:
    b = 1 - a - tie
    outcome = Outcome.A if a > b else Outcome.B
    return decide(name, [vote(outcome, order, probabilities=(a, b, tie)) for order in Order])


def test_the_surer_one_has_its_way() -> None:
    decisions = [_decided("doubtful", 0.55), _decided("sure", 0.95), _decided("other", 0.1)]
    margins = {"doubtful": -2.0, "sure": -0.1, "other": -1.0}
    first, second, third = joined(decisions, margins, 1.0)
    assert (first.label, second.label, third.label) == (Label.B, Label.A, Label.B)
    assert first.agreement == 0, "no vote of the judge states the joint label"
    assert first.judgments == decisions[0].judgments


def test_agreement_counts_the_votes_that_the_judge_counts() -> None:
    """Reasoned ones, if there are any: a view that changes no label changes no agreement."""
    reasoned = [vote(Outcome.A if i < 3 else Outcome.B, order) for order in Order for i in range(4)]
    read = [vote(Outcome.B, order, probabilities=(0.4, 0.6, 0.0)) for order in Order]
    direct = [replace(each, reading=Reading.DIRECT) for each in read]
    decision = decide("x", [*reasoned, *direct])
    assert (decision.label, decision.agreement) == (Label.A, 0.75)
    found, _ = joined([decision, _decided("y", 0.2)], {"x": 1.0, "y": -1.0}, 1.0)
    assert (found.label, found.agreement) == (Label.A, 0.75)
    # A reading without a verdict in one order decides nothing, and its votes do not count.
    failed = [replace(each, outcome=Outcome.ERROR) if each.order is Order.BA else each for each in reasoned]
    half = decide("z", [*failed, *direct])
    assert (half.label, half.agreement) == (Label.B, 1.0)
    found, _ = joined([half, _decided("y", 0.9)], {"z": -1.0, "y": 1.0}, 1.0)
    assert (found.label, found.agreement) == (Label.B, 1.0)


def test_a_judge_that_is_very_sure_counts_no_more_than_its_cap() -> None:
    """Spreads: about 3.5 for the judge, 1 for the view; the first comparison's margins are 6.9 against −1.6."""
    decisions = [_decided("shortcut", 0.999), *(_decided(str(i), 0.6) for i in range(3))]
    margins = {"shortcut": -1.6, "0": 0.7, "1": 0.7, "2": -0.7}
    assert [joined(decisions, margins, 1.0, cap)[0].label for cap in (None, 1.0)] == [Label.A, Label.B]
    assert joined(decisions, margins, 1.0, 100.0) == joined(decisions, margins, 1.0)


def test_a_vote_for_a_tie_that_is_no_verdict_speaks_for_the_likelier_response() -> None:
    votes = [vote(Outcome.TIE, order, probabilities=(0.3, 0.1, 0.6)) for order in Order]
    decision = decide("x", votes, ReadingWeights(ties=False))
    (found,) = joined([decision], {"x": 1.0}, 1.0, ties=False)
    assert (found.label, found.agreement) == (Label.A, 1.0)
    assert joined([decision], {"x": 1.0}, 1.0)[0].agreement == 0.0


def test_no_weight_changes_no_label() -> None:
    decisions = [_decided("x", 0.6), _decided("y", 0.3)]
    assert [d.label for d in joined(decisions, {"x": -9.0, "y": 9.0}, 0.0)] == [Label.A, Label.B]


def test_ties_and_abstentions_stay_the_judges() -> None:
    silent = decide("silent", [vote(Outcome.TRUNCATED)])
    tied = _decided("tied", 0.2, 0.6)
    result = joined([silent, tied, _decided("x", 0.7)], {"silent": 3.0, "tied": 3.0, "x": 1.0}, 1.0)
    assert result[0] == silent
    assert result[1].label is Label.TIE
    assert result[1].probabilities is not None
    assert result[1].probabilities.tie == pytest.approx(0.6)


def test_what_the_view_does_not_know_stays() -> None:
    decisions = [_decided("known", 0.6), _decided("unknown", 0.6)]
    assert joined(decisions, {"known": -5.0}, 1.0)[1] == decisions[1]
    assert joined(decisions, {}, 1.0) == decisions


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(-30, 30)), min_size=1, max_size=12), st.floats(0, 3))
def test_swapping_everything_swaps_the_labels(values: list[tuple[float, float]], weight: float) -> None:
    there = [_decided(str(i), a) for i, (a, _) in enumerate(values)]
    back = [_decided(str(i), 1 - a) for i, (a, _) in enumerate(values)]
    margins = {str(i): m for i, (_, m) in enumerate(values)}
    forward = joined(there, margins, weight)
    mirrored = joined(back, {name: -m for name, m in margins.items()}, weight)
    for one, other in zip(forward, mirrored, strict=True):
        assert one.probabilities is not None
        assert other.probabilities is not None
        assert one.probabilities.a == pytest.approx(other.probabilities.b, abs=1e-9)


def test_margins_as_probabilities() -> None:
    found = as_probabilities({"x": 0.0, "y": 800.0})
    assert found["x"].a == 0.5
    assert found["y"].a == pytest.approx(1)
