"""Both readings of the verdict name the label, by lead enough; one reading alone has nothing to be compared with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import make, vote
from gramr2.comparison import Label, Order
from gramr2.config.schedules import Quantile
from gramr2.judging.voting import decide
from gramr2.judgment import LabelProbabilities, Outcome, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.readings import Readings
from gramr2.selftraining.filters.stack import apply_filters, build

Belief = tuple[float, float, float]
A, B = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1)


def candidate(direct: Belief | None, reasoned: Belief | None, label: Label = Label.A, name: str = "c") -> Candidate:
    given = {Reading.DIRECT: direct, Reading.REASONED: reasoned}
    readings = {reading: LabelProbabilities(*belief) for reading, belief in given.items() if belief}
    decision = decide(name, [vote(Outcome.of(label), order) for order in Order])
    return Candidate(make(name), replace(decision, readings=readings), 0.9)


def rejection(each: Candidate, config: Readings, stage: FilterContext | None = None) -> Rejection | None:
    kept, dropped = apply_filters(build([config]), [each], stage or FilterContext())
    assert len(kept) + len(dropped) == 1
    return dropped[0][1] if dropped else None


@pytest.mark.parametrize(
    ("label", "direct", "reasoned", "expected"),
    [
        (Label.A, A, A, None),
        (Label.B, B, B, None),
        (Label.TIE, (0.2, 0.2, 0.6), (0.3, 0.1, 0.6), None),
        (Label.A, B, A, ("the direct reading names another label", "B", "A")),
        (Label.A, A, B, ("the reasoned reading names another label", "B", "A")),
        (Label.B, A, A, ("the direct reading names another label", "A", "B")),
        (Label.TIE, (0.2, 0.2, 0.6), A, ("the reasoned reading names another label", "A", "tie")),
        (Label.A, (0.45, 0.45, 0.1), A, ("the direct reading names another label", "tie", "A")),
    ],
)
def test_both_readings_name_the_label(
    label: Label, direct: Belief, reasoned: Belief, expected: tuple[str, str, str] | None
) -> None:
    found = rejection(candidate(direct, reasoned, label), Readings())
    assert found == (Rejection("readings", *expected) if expected else None)


def test_the_smaller_lead_over_the_next_label_must_reach_the_margin() -> None:
    for close in (candidate((0.4, 0.3, 0.3), A), candidate(A, (0.4, 0.25, 0.35))):
        lead = 0.1 if close.decision.readings[Reading.DIRECT].b == 0.3 else 0.05
        assert rejection(close, Readings(min_margin=lead)) is None
        found = rejection(close, Readings(min_margin=lead + 0.01))
        assert found == Rejection(
            "readings", "the lead of the label is too small in a reading", lead, round(lead + 0.01, 6)
        )


def test_a_tie_that_only_cancels_out_is_no_preference_for_the_tie() -> None:
    level = candidate((0.5, 0.5, 0.0), (0.1, 0.1, 0.8), Label.TIE)
    assert rejection(level, Readings()) == Rejection(
        "readings", "the lead of the label is too small in a reading", -0.5, 0.0
    )


@pytest.mark.parametrize(("direct", "reasoned", "count"), [(None, A, 1), (B, None, 1), (None, None, 0), (A, A, 2)])
def test_fewer_than_two_readings_pass_and_the_measure_says_so(
    direct: Belief | None, reasoned: Belief | None, count: int
) -> None:
    config = Readings(min_margin=0.7 if count == 2 else 1.0)
    [kept], dropped = apply_filters(build([config]), [candidate(direct, reasoned)], FilterContext())
    assert dropped == []
    assert kept.measures["readings"] == count
    assert ("readings_margin" in kept.measures) == (count == 2)


def test_a_quantile_counts_only_what_can_be_compared() -> None:
    half = Readings(min_margin=Quantile(schedule="quantile", start=0.5, end=0.5))
    single = [candidate(None, A, name=f"single {i}") for i in range(10)]
    pairs = [candidate(A, (0.5 + i / 20, 0.4 - i / 20, 0.1), name=f"pair {i}") for i in range(4)]
    kept, dropped = apply_filters(build([half]), [*single, *pairs], FilterContext())
    assert [c.comparison.id for c, _ in dropped] == ["pair 0", "pair 1"]
    assert len(kept) == 12
    assert apply_filters(build([half]), single, FilterContext())[1] == []


def test_a_roll_back_asks_for_a_larger_lead() -> None:
    stage = FilterContext(tightenings=1)
    assert rejection(candidate((0.6, 0.2, 0.2), A), Readings(min_margin=0.2), stage) is not None
    assert stage.thresholds == {"readings.min_margin": 0.6}


def test_it_can_drop_everything_and_the_next_gets_nothing() -> None:
    both = [candidate(A, B, name="x"), candidate(B, A, name="y")]
    kept, dropped = apply_filters(build([Readings(), Rationale()]), both, FilterContext())
    assert kept == []
    assert {o.filter for _, o in dropped} == {"readings"}
    assert apply_filters(build([Readings()]), [], FilterContext()) == ([], [])
