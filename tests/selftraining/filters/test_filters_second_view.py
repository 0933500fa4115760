"""A second view finds A or B likely enough among the two, a tie if it is nearly level, and knows the comparison at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from conftest import make, vote
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.judging.voting import decide
from gramr2.judgment import LabelProbabilities, Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.second_view import SecondView
from gramr2.selftraining.filters.stack import apply_filters, build

Belief = tuple[float, float, float]
UNLIKELY, PREFERS = "the second view finds the label unlikely", "the second view prefers a response"


def candidate(label: Label, name: str = "c") -> Candidate:
    return Candidate(make(name), decide(name, [vote(Outcome.of(label), order) for order in Order]), 0.9)


def reviewed(label: Label, belief: Belief, **options: float) -> tuple[float | None, Rejection | None]:
    """The measure of a kept candidate, or the rejection."""
    stage = FilterContext(second_view={"c": LabelProbabilities(*belief)})
    kept, dropped = apply_filters(build([SecondView(**options)]), [candidate(label)], stage)
    assert len(kept) + len(dropped) == 1
    return (kept[0].measures["second_view"], None) if kept else (None, dropped[0][1])


@pytest.mark.parametrize(
    ("label", "belief", "least", "expected"),
    [
        (Label.A, (0.6, 0.4, 0.0), 0.6, 0.6),
        (Label.B, (0.4, 0.6, 0.0), 0.6, 0.6),
        (Label.A, (0.3, 0.1, 0.6), 0.75, 0.75),
        (Label.B, (0.1, 0.3, 0.6), 0.75, 0.75),
        (Label.A, (0.5, 0.5, 0.0), 0.5, 0.5),
    ],
)
def test_the_label_is_likely_enough_among_a_and_b(label: Label, belief: Belief, least: float, expected: float) -> None:
    measure, found = reviewed(label, belief, min_probability=least)
    assert found is None
    assert measure == pytest.approx(expected)
    higher = round(least + 0.01, 6)
    assert reviewed(label, belief, min_probability=higher)[1] == Rejection("second_view", UNLIKELY, expected, higher)


def test_a_view_that_is_certain_of_a_tie_supports_neither_response() -> None:
    assert reviewed(Label.A, (0.0, 0.0, 1.0))[1] == Rejection("second_view", UNLIKELY, 0.0, 0.5)
    assert reviewed(Label.TIE, (0.0, 0.0, 1.0)) == (1.0, None)


@pytest.mark.parametrize("belief", [(0.6, 0.4, 0.0), (0.4, 0.6, 0.0), (0.25, 0.05, 0.7)])
def test_a_tie_passes_where_the_view_has_both_about_level(belief: Belief) -> None:
    measure, found = reviewed(Label.TIE, belief, min_probability=1.0)
    assert found is None
    assert measure == pytest.approx(0.8)
    assert reviewed(Label.TIE, belief, max_tie_gap=0.19)[1] == Rejection("second_view", PREFERS, 0.2, 0.19)


def test_the_tie_gap_does_not_bind_other_labels() -> None:
    assert reviewed(Label.A, (1.0, 0.0, 0.0), max_tie_gap=0.0)[1] is None


def test_what_the_view_knows_nothing_of_is_dropped_by_its_name() -> None:
    stage = FilterContext(second_view={"known": LabelProbabilities(1, 0, 0)})
    both = [candidate(Label.A, "unknown"), candidate(Label.A, "known")]
    kept, dropped = apply_filters(build([SecondView(view="bag-of-words")]), both, stage)
    assert [c.comparison.id for c in kept] == ["known"]
    reason = "the second view does not cover it"
    assert [(c.comparison.id, o) for c, o in dropped] == [("unknown", Rejection("second_view", reason, None, None))]


def test_the_view_speaks_of_the_stored_order_however_the_example_is_turned() -> None:
    stage = FilterContext(second_view={"c": LabelProbabilities(0.9, 0.1, 0)})
    each = candidate(Label.A)
    turned = replace(each, example=LabeledComparison(each.comparison, Label.A)).swap()
    [kept], _ = apply_filters(build([SecondView()]), [turned], stage)
    assert kept.example is not None
    assert (kept.example.label, kept.measures["second_view"]) == (Label.B, 0.9)


def test_a_roll_back_moves_both_thresholds_to_their_strict_ends() -> None:
    stage = FilterContext(tightenings=1, second_view={"c": LabelProbabilities(0.7, 0.3, 0)})
    assert apply_filters(build([SecondView()]), [candidate(Label.A)], stage)[0] == []
    assert stage.thresholds == {"second_view.min_probability": 0.75, "second_view.max_tie_gap": 0.1}


def test_it_can_drop_everything_and_the_next_gets_nothing() -> None:
    both = [candidate(Label.A, "x"), candidate(Label.TIE, "y")]
    stage = FilterContext(second_view=dict.fromkeys("xy", LabelProbabilities(0.1, 0.9, 0)))
    kept, dropped = apply_filters(build([SecondView(), Rationale()]), both, stage)
    assert kept == []
    assert {o.filter for _, o in dropped} == {"second_view"}
    assert apply_filters(build([SecondView()]), [], FilterContext()) == ([], [])


def test_only_the_two_views_can_be_named() -> None:
    assert SecondView().view is None, "the run's"
    with pytest.raises(ValidationError, match="bag-of-words"):
        SecondView.model_validate({"view": "tea-leaves"})
