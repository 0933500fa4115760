"""A label must be the one of the last round, where the last round gave one."""

from __future__ import annotations

import pytest

from conftest import make, vote
from gramr2.comparison import Label, Order
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.history import History
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.stack import apply_filters, build


def candidate(label: Label, name: str = "c") -> Candidate:
    return Candidate(make(name), decide(name, [vote(Outcome.of(label), order) for order in Order]), 0.9)


def rejection(label: Label, earlier: dict[str, Label], require_earlier: bool = False) -> Rejection | None:
    config = History(require_earlier=require_earlier)
    kept, dropped = apply_filters(build([config]), [candidate(label)], FilterContext(earlier=earlier))
    assert len(kept) + len(dropped) == 1
    return dropped[0][1] if dropped else None


@pytest.mark.parametrize("now", Label)
@pytest.mark.parametrize("before", Label)
@pytest.mark.parametrize("required", [False, True])
def test_the_label_is_the_one_of_the_last_round(now: Label, before: Label, required: bool) -> None:
    found = rejection(now, {"c": before}, required)
    changed = Rejection("history", "the label changed since the last round", now.value, before.value)
    assert found == (None if now is before else changed)


@pytest.mark.parametrize("earlier", [{}, {"another": Label.B}])
def test_what_was_not_judged_before_passes_unless_it_must_have_been(earlier: dict[str, Label]) -> None:
    assert rejection(Label.A, earlier) is None
    unknown = Rejection("history", "the last round gave it no label", None, None)
    assert rejection(Label.A, earlier, require_earlier=True) == unknown


def test_it_can_drop_everything_and_the_next_gets_nothing() -> None:
    both = [candidate(Label.A, "x"), candidate(Label.TIE, "y")]
    stack = build([History(), Rationale()])
    kept, dropped = apply_filters(stack, both, FilterContext(earlier={"x": Label.B, "y": Label.A}))
    assert kept == []
    assert {o.filter for _, o in dropped} == {"history"}
    assert apply_filters(build([History()]), [], FilterContext()) == ([], [])
