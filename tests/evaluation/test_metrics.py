"""Accuracy, intervals and the paired test against values known from elsewhere."""

from __future__ import annotations

import random

import pytest

from conftest import labeled, make, vote
from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Order
from gramr2.evaluation.log import group_of, item_of
from gramr2.evaluation.metrics import (
    accuracy_interval,
    bootstrap,
    evaluate,
    length_baseline,
    paired_interval,
    paired_test,
    widened,
    wilson,
)
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Outcome


def said(outcome: Outcome) -> Decision:
    return decide("c", [vote(outcome, Order.AB), vote(outcome, Order.BA)])


def test_wilson_is_the_published_interval() -> None:
    interval = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_abstentions_are_coverage_and_not_accuracy() -> None:
    items = [labeled(str(i), Label.A, category="x" if i < 2 else "y") for i in range(4)]
    result = evaluate(items, [said(Outcome.A), said(Outcome.B), said(Outcome.TRUNCATED), said(Outcome.A)])
    assert (result.n, result.decided, result.coverage) == (4, 3, 0.75)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.accuracy_strict == 0.5
    assert result.outcomes["truncated"] == 2
    assert result.by_category["x"]["accuracy"] == 0.5
    assert result.by_category["y"]["n"] == 2
    assert list(result.headline()) == ["n", "accuracy", "low", "high", "order_flip_rate", "coverage"]


def test_a_judge_that_never_decides_has_no_accuracy() -> None:
    result = evaluate([labeled("1", Label.A)], [said(Outcome.UNPARSEABLE)])
    assert (result.accuracy, result.low, result.order_flip_rate, result.coverage) == (None, None, None, 0)


def test_position_preference_is_reported() -> None:
    follower = decide("c", [vote(Outcome.A, Order.AB), vote(Outcome.B, Order.BA)])
    result = evaluate([labeled("1", Label.TIE)], [follower])
    assert (result.first_position_rate, result.order_flip_rate, result.accuracy) == (1.0, 1.0, 1.0)


def test_grouped_items_widen_the_interval() -> None:
    correct = [i % 2 == 0 for i in range(40) for _ in range(5)]
    groups = [str(i) for i in range(40) for _ in range(5)]
    alone = accuracy_interval(correct, [str(i) for i in range(200)])
    grouped = accuracy_interval(correct, groups)
    assert (alone.method, grouped.method) == ("wilson", "group bootstrap")
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)
    assert accuracy_interval(correct, ["one"] * 200).method == "wilson"


def test_groups_that_all_say_the_same_leave_room_for_others() -> None:
    groups, other = [str(i // 2) for i in range(20)], wilson(0, 10).high
    right, wrong = accuracy_interval([True] * 20, groups), accuracy_interval([False] * 20, groups)
    assert (right.low, right.high, right.method) == (pytest.approx(wilson(10, 10).low), 1.0, "wilson")
    assert (wrong.low, wrong.high) == (0.0, pytest.approx(other))
    # One of both comparisons of each prompt: others may have none, or both.
    half = accuracy_interval([True, False] * 10, groups)
    assert (half.low, half.high) == (pytest.approx(0.5 - other / 2), pytest.approx(0.5 + other / 2))
    # What is above the highest that a unit can say stays where it is.
    assert widened((1.01, 1.01), 10, 0.0, 1.0).high == 1.01
    # With spread, the bounds are the bootstrap's.
    mixed = [i < 12 for i in range(20)]
    bounds = bootstrap([(2 if i < 6 else 0, 2) for i in range(10)], 3)
    found = accuracy_interval(mixed, groups, 3)
    assert (found.low, found.high, found.method) == (*bounds, "group bootstrap")


def test_an_interval_covers_a_high_accuracy_that_few_prompts_show_as_certainty() -> None:
    rng, groups, covered = random.Random(2), [str(i // 3) for i in range(45)], 0
    for _ in range(200):
        prompts = [rng.random() < 0.96 for _ in range(15)]
        found = accuracy_interval([right for right in prompts for _ in range(3)], groups)
        covered += found.low <= 0.96 <= found.high
    assert covered >= 190


def test_differences_that_are_all_the_same_leave_room_for_others() -> None:
    alone, shared = [str(i) for i in range(20)], [str(i // 4) for i in range(20)]
    for groups, units in ((alone, 20), (shared, 5)):
        other = wilson(0, units).high
        assert paired_interval([0] * 20, groups) == (pytest.approx(-other), pytest.approx(other))
        # Who is not better may be worse.
        assert paired_interval([1] * 20, groups) == (pytest.approx(1 - 2 * other), 1.0)
    low, high = paired_interval([0.25] * 20, alone, lowest=0.0)
    other = wilson(0, 20).high
    assert (low, high) == (pytest.approx(0.25 - other / 4), pytest.approx(0.25 + 3 * other / 4))
    changes = [1, 0, -1, 0] * 5
    assert paired_interval(changes, alone, 4) == bootstrap([(each, 1) for each in changes], 4)


def test_comparisons_of_a_prompt_are_one_unit_without_a_group_too() -> None:
    def asks(i: int, prompt: str) -> LabeledComparison:
        return LabeledComparison(Comparison(str(i), (Message("user", prompt),), ("a", "b")), Label.A)

    answers = [said(Outcome.A if i % 2 else Outcome.B) for i in range(40) for _ in range(5)]
    shared = evaluate(
        [asks(5 * i + j, f"Why {i}?" if j % 2 else f"why  {i}?") for i in range(40) for j in range(5)], answers
    )
    single = evaluate([asks(i, f"Why {i}?") for i in range(200)], answers)
    assert (shared.interval, single.interval) == ("group bootstrap", "wilson")
    assert shared.high is not None and shared.low is not None and single.high is not None and single.low is not None
    assert shared.high - shared.low > 1.8 * (single.high - single.low)
    # What compares folders, and agreement, draws the same units.
    one, other = (asks(1, "Why?"), asks(2, " why?"))
    lines = [item_of(each, decision, 0.0) for each, decision in zip((one, other), answers, strict=False)]
    assert [group_of(line) for line in lines] == [one.comparison.unit, other.comparison.unit]
    assert len({group_of(line) for line in lines}) == 1


def test_mcnemar() -> None:
    items = [labeled(str(i), Label.A) for i in range(20)]
    before = [said(Outcome.B)] * 10 + [said(Outcome.A)] * 10
    after = [said(Outcome.A)] * 10 + [said(Outcome.A)] * 8 + [said(Outcome.B)] * 2
    test = paired_test(items, [d.label for d in before], [d.label for d in after])
    assert (test.only_after, test.only_before) == (10, 2)
    assert test.p_value == pytest.approx(0.03857, abs=1e-4)  # exact binomial, 2 of 12, two-sided
    assert test.difference == pytest.approx(0.4)
    assert test.low < 0.4 < test.high
    assert paired_test(items, before, before).p_value == 1


def test_length_baseline() -> None:
    items = [
        LabeledComparison(make(a="long one", b="x"), Label.A),
        LabeledComparison(make(a="long one", b="x"), Label.B),
        LabeledComparison(make(a="x", b="y"), Label.TIE),
    ]
    assert length_baseline(items) == pytest.approx(2 / 3)


def test_categories_know_groups_too() -> None:
    # Twelve prompts of four comparisons each, all or none of which are right.
    items = [labeled(f"c{n}", Label.A, category="x", group=f"g{n // 4}") for n in range(48)]
    told = [Decision(f"c{n}", (), Label.A if n < 24 else Label.B, None, None, None, None, 1.0) for n in range(48)]
    found = evaluate(items, told)
    assert found.by_category["x"] == {"n": 48, "accuracy": 0.5, "low": found.low, "high": found.high}
    assert found.interval == "group bootstrap"


def test_a_bootstrap_draws_what_random_choices_draws() -> None:
    rng, reference = random.Random(1), random.Random(7)
    units = [(rng.randint(-2, 3), rng.randint(1, 4)) for _ in range(40)]
    means = sorted(
        sum(total for total, _ in drawn) / sum(size for _, size in drawn)
        for drawn in (reference.choices(units, k=40) for _ in range(2000))
    )
    assert bootstrap(units, 7) == (means[50], means[1949])
