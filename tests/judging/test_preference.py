"""From log-odds to decisions, and when a model of log-odds ties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import labeled, make
from gramr2.comparison import Label
from gramr2.evaluation.metrics import evaluate
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.preference import CERTAIN, PreferenceModel, Ties, decided, margin_for, ties_of
from gramr2.judging.records import decision_row
from gramr2.judging.scripted import scripted

MARGINS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(MARGINS, st.floats(0, 2), st.floats(0, 1))
def test_exchanged_responses_get_the_mirrored_decision(margins: list[float], width: float, chance: float) -> None:
    comparisons, ties = [make(str(i)) for i in range(len(margins))], Ties(width, chance)
    there = decided(comparisons, margins, ties)
    back = decided(comparisons, [-m for m in margins], ties)
    for one, other in zip(there, back, strict=True):
        assert one.label is not None and one.probabilities is not None and other.label is not None
        assert other.label is one.label.swap()
        assert other.probabilities == one.probabilities.swap()
        assert one.confidence == one.probabilities[one.label]
        assert sum(one.probabilities.as_dict().values()) == pytest.approx(1)
        assert (one.judgments, one.agreement, one.order_flip, one.coverage) == ((), None, False, 1.0)


def test_the_probability_is_that_of_the_log_odds() -> None:
    first, second, level = decided([make(name) for name in "abc"], [math.log(3), -CERTAIN * 9, 0.0], Ties())
    assert first.label is Label.A
    assert first.confidence == pytest.approx(0.75)
    assert second.label is Label.B
    assert second.confidence == pytest.approx(1)
    assert level.label is Label.TIE


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_as_many_are_below_the_margin_as_asked(count: int) -> None:
    margins = [2.0, -0.1, 0.5, -3.0, 1.0]
    labels = [d.label for d in decided([make(str(i)) for i in range(5)], margins, Ties(margin_for(margins, count)))]
    assert labels.count(Label.TIE) == count
    nearest = sorted(range(5), key=lambda i: abs(margins[i]))[:count]
    assert {i for i in range(5) if labels[i] is Label.TIE} == set(nearest)


def test_ties_are_as_frequent_as_their_labels_and_as_sure_as_they_were_right() -> None:
    items = [labeled(str(i), label) for i, label in enumerate([Label.TIE, Label.A, Label.TIE, Label.B])]
    margins = [0.1, 0.2, 3.0, -2.0]
    ties = ties_of(margins, items)
    decisions = decided([item.comparison for item in items], margins, ties)
    assert [d.label for d in decisions] == [Label.TIE, Label.TIE, Label.A, Label.B]
    assert decisions[0].confidence == 0.5  # of the two in there one is a tie
    assert ties_of(margins[1:2], items[1:2]) == Ties()


def test_what_has_not_been_learnt_sets_the_margin() -> None:
    items = [labeled(str(i), label) for i, label in enumerate([Label.TIE, Label.A, Label.A, Label.B])]
    learnt, unseen = [4.0, 5.0, 6.0, -7.0], [(-1) ** i * (0.1 + i / 40) for i in range(80)]
    ties = ties_of(learnt, items, unseen)
    decisions = decided([make(str(i)) for i in range(80)], unseen, ties)
    assert [d.label for d in decisions].count(Label.TIE) == 20
    # None of what it has learnt is within that margin: what ties is as likely to be none.
    assert decisions[0].probabilities is not None and decisions[0].probabilities.tie == pytest.approx(0.5, abs=0.05)
    assert decisions[0].probabilities.a > decisions[0].probabilities.b > 0


@pytest.mark.parametrize("few", [0, 3, 49])
def test_too_few_that_are_unseen_set_nothing(few: int) -> None:
    items = [labeled(str(i), label) for i, label in enumerate([Label.TIE, Label.A, Label.A, Label.B])]
    learnt = [4.0, 5.0, 6.0, -7.0]
    assert ties_of(learnt, items, [0.1] * few) == ties_of(learnt, items)


def test_a_tie_leaves_something_to_the_likelier_response() -> None:
    """Where all that tied were true ties, a new one may still not be: which response it leans to is not lost."""
    items = [labeled(str(i), label) for i, label in enumerate([Label.TIE, Label.A, Label.B])]
    (decision,) = decided([make("new")], [0.1], ties_of([0.2, 3.0, -3.0], items))
    assert decision.label is Label.TIE
    assert decision.probabilities is not None and decision.probabilities.a > decision.probabilities.b > 0


def test_measures_and_rows_cope_without_votes() -> None:
    items = [labeled(str(i), Label.A) for i in range(4)]
    decisions = decided([item.comparison for item in items], [1.0, 2.0, -1.0, 4.0], Ties())
    result = evaluate(items, decisions)
    assert (result.n, result.accuracy, result.coverage, result.order_flip_rate) == (4, 0.75, 1.0, 0.0)
    # No votes were cast, so nothing is said of votes.
    assert (result.vote_coverage, result.first_position_rate, sum(result.outcomes.values())) == (None, None, 0)
    row = decision_row(decisions[0])
    assert (row["label"], row["votes"], row["agreement"], row["rationale"]) == ("A", [], None, None)
    assert row["probabilities"]["A"] == row["confidence"]


def test_a_judge_is_one_too() -> None:
    judge: PreferenceModel = Judge(scripted("longer"), None, Sampling(votes=1, temperature=0))
    assert judge.id == "scripted:longer"
    assert [d.label for d in judge.compare([make(a="long one", b="x"), make(a="x", b="long one")])] == ["A", "B"]
