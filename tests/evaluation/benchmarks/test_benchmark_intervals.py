"""Intervals of official scores: a mean's is that of its items, groups stay together, and too few groups have none."""

from __future__ import annotations

import math
import random

import pytest

from conftest import make
from gramr2.comparison import Label, Message, ResponseSet
from gramr2.evaluation.benchmarks import Choice, Item, Pair, Placing, Verdict, benchmark
from gramr2.evaluation.benchmarks.intervals import interval_of
from gramr2.evaluation.metrics import wilson


def pairs(n: int, groups: int | None = None) -> list[Item]:
    """Pairs of which A is better, alone or in groups."""
    return [Pair(make(f"c{i:03}", group=f"g{i % groups}") if groups else make(f"c{i:03}"), Label.A) for i in range(n)]


def test_the_interval_of_a_mean_is_that_of_its_items_and_wider_where_they_go_together() -> None:
    plain = benchmark("hhh")
    answers = [Verdict.of(*[Label.A if i % 20 < 14 else Label.B] * 2) for i in range(200)]
    found = interval_of(plain, pairs(200), answers)
    assert found is not None
    assert found.low < 0.7 < found.high
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * math.sqrt(0.7 * 0.3 / 200), rel=0.15)
    together = interval_of(plain, pairs(200, groups=20), answers)
    assert together is not None
    assert together.high - together.low > 1.5 * (found.high - found.low), (
        "all ten of a group are right, or all are wrong"
    )
    back = interval_of(plain, pairs(200)[::-1], answers[::-1])
    assert back is not None
    assert (back.low, back.high) == (found.low, found.high)


def test_the_order_of_the_source_changes_nothing_where_items_are_in_groups() -> None:
    plain, items = benchmark("hhh"), pairs(60, groups=20)
    answers = [Verdict.of(*[Label.A if i % 20 in (0, 3, 4, 11) else Label.B] * 2) for i in range(60)]
    places = [*range(60)]
    random.Random(0).shuffle(places)
    found = interval_of(plain, items, answers)
    assert found is not None
    assert interval_of(plain, [items[i] for i in places], [answers[i] for i in places]) == found


def test_a_judge_that_always_says_the_same_is_not_certain_of_its_score() -> None:
    # Both orders must be right, and one is wrong: 0, and of other items as many may be right as Wilson's bound for none says.
    follower = [Verdict.of(Label.A, Label.B)] * 40
    for items, units in ((pairs(40), 40), (pairs(40, groups=10), 10)):
        found = interval_of(benchmark("judgebench"), items, follower)
        assert found is not None
        assert (found.low, found.high) == (0.0, pytest.approx(wilson(0, units).high))
    # Each item counts one half here.
    found = interval_of(benchmark("hhh"), pairs(40), follower)
    assert found is not None
    other = wilson(0, 40).high
    assert (found.low, found.high) == (pytest.approx(0.5 - other / 2), pytest.approx(0.5 + other / 2))


def test_few_groups_and_a_score_that_is_not_defined_have_none() -> None:
    plain = benchmark("hhh")
    assert interval_of(plain, pairs(100, groups=9), [Verdict.of(Label.A, Label.A)] * 100) is None
    assert interval_of(benchmark("llmbar"), pairs(100), [Verdict.of(None, None)] * 100) is not None
    failed = [Verdict.of(None, None)] * 100
    left_out = benchmark("alpaca-eval")
    undecided: list[Item] = [
        Pair(each.comparison, None, {"candidate": Label.A, "longer": 1})
        for each in pairs(100)
        if isinstance(each, Pair)
    ]
    assert interval_of(left_out, undecided, failed) is None


def test_a_group_that_is_drawn_twice_counts_twice() -> None:
    # Prompts of Ties: every second one is right in both of its sets, the others are wrong in both.
    items: list[Item] = []
    answers = []
    for i in range(40):
        for kind, right in (("ref", 1), ("tied", 2)):
            texts = tuple(f"r{k}" for k in range(right + 1))
            found = ResponseSet(f"Ties:{kind}:{i}", (Message("user", "Q"),), texts)
            items.append(Choice(found, frozenset(range(right)), "Ties", f"Ties:{i}", {"kind": kind}))
            good = [1.0] * right + [0.0]
            answers.append(Placing.by(good if i % 2 else good[::-1]))
    interval = interval_of(benchmark("rewardbench2"), items, answers)
    assert interval is not None
    assert interval.low < 0.5 < interval.high
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * math.sqrt(0.25 / 40), rel=0.2)
