"""How many comparisons an answer takes, and what a number of them shows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.evaluation.metrics import accuracy_interval, wilson
from gramr2.evaluation.power import comparisons_for, design_effect, intraclass, labels_for, visible_difference


def test_a_textbook_case() -> None:
    # A fifth of the comparisons is discordant: 7.84 · 0.2 / 0.05².
    assert comparisons_for(0.05, 0.2) == 628
    assert visible_difference(0.2, 628) == pytest.approx(0.05, abs=1e-3)
    assert comparisons_for(0.05, 0.2, 1.5) == 941


def test_a_whole_number_is_not_rounded_up() -> None:
    assert comparisons_for(0.28, 0.1) == 10


@given(st.floats(0.01, 0.5), st.floats(0.01, 1), st.floats(1, 4))
def test_one_is_the_inverse_of_the_other(difference: float, discordant: float, design: float) -> None:
    n = comparisons_for(difference, discordant, design)
    assert visible_difference(discordant, n, design) <= difference * (1 + 1e-6)
    assert n == 1 or visible_difference(discordant, n - 1, design) > difference * (1 - 1e-6)


def test_labels_for_a_bar_by_hand() -> None:
    # (1.96 · 0.5 + 0.8416 · √(0.65 · 0.35))² / 0.15² = (0.97998 + 0.40142)² / 0.0225.
    assert labels_for(0.65, 0.5) == 85
    assert labels_for(0.35, 0.5) == 85
    assert labels_for(0.65, 0.5, 2.0) == 170
    assert labels_for(0.5, 0.5) is None
    # A judge without a mistake has no spread of its own: 1.96² · 0.25 / 0.25.
    assert labels_for(1.0, 0.5) == 4


@pytest.mark.parametrize(("accuracy", "bar"), [(0.65, 0.5), (0.8, 0.7), (0.42, 0.5)])
def test_so_many_labels_have_the_power(accuracy: float, bar: float) -> None:
    n = labels_for(accuracy, bar)
    assert n is not None
    rng = random.Random(7)
    excluded = {hits: not (each := wilson(hits, n)).low <= bar <= each.high for hits in range(n + 1)}
    draws = [excluded[sum(rng.random() < accuracy for _ in range(n))] for _ in range(3000)]
    # The standard error of the share is 0.7 points; counts are whole, so that the power jumps by up to 4.
    assert 0.76 < sum(draws) / len(draws) < 0.86


def test_prompts_that_are_alike_have_the_power_too() -> None:
    # Four comparisons a prompt; half of the prompts are right or wrong as a whole: ρ = 1/2.
    rng = random.Random(11)
    n = labels_for(0.65, 0.5, design_effect(0.5, [i // 4 for i in range(40)]))
    assert n == 213

    def excluded(size: int) -> bool:
        values: list[bool] = []
        for _ in range(size // 4):
            whole, alike = rng.random() < 0.65, rng.random() < 0.5
            values += [whole if alike else rng.random() < 0.65 for _ in range(4)]
        bounds = accuracy_interval(values, [str(i // 4) for i in range(len(values))])
        return not bounds.low <= 0.5 <= bounds.high

    # The standard error of either share is about 5 points.
    assert 0.65 < sum(excluded(n) for _ in range(80)) / 80 < 0.93
    # As many as independent ones would need are far from enough.
    assert sum(excluded(85) for _ in range(80)) / 80 < 0.6


def test_correlation_by_hand() -> None:
    groups = [i // 2 for i in range(20)]
    assert intraclass([i // 2 % 2 for i in range(20)], groups) == 1
    assert intraclass([i % 2 for i in range(20)], groups) == 0
    # Five pairs agree on 1, one on 0, four are split: MSB = 2 Σ(m − 0.7)²/9 = 1.4/9 · 2/1.4 …
    values = [1, 1] * 5 + [0, 0] + [0, 1] * 4
    between = 2 * (5 * 0.3**2 + 0.7**2 + 4 * 0.2**2) / 9
    within = 4 * 0.5 / 10
    assert intraclass(values, groups) == pytest.approx((between - within) / (between + within))
    assert intraclass([1, 1, 0, 0], [0, 0, 1, 1]) == 0, "two groups say nothing about their correlation"
    assert intraclass([1, 0], [0, 1]) == intraclass([], []) == 0


def test_the_design_effect_is_one_without_shared_prompts() -> None:
    assert design_effect(0.5, "abcd") == 1
    assert design_effect(0.5, "aabb") == 1.5
    # m = (9 + 1) / 4.
    assert design_effect(0.5, "aaab") == 1.75
    assert design_effect(0.5, []) == 1
