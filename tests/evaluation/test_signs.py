"""Tests by the signs of paired differences, against values known from elsewhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from gramr2.evaluation.signs import exact_test, flipped_test


def test_mcnemar_by_hand() -> None:
    assert exact_test([1, 1, 1, 1, 1, 1, 0, 0]) == pytest.approx(2 * 0.5**6)
    assert exact_test([0, 0]) == exact_test([]) == 1


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=14))
def test_without_groups_flipping_is_mcnemar_s_test(values: list[int]) -> None:
    assert flipped_test(values, [None] * len(values)) == pytest.approx(exact_test(values))


def test_fractions_are_flipped_whole() -> None:
    values = [1, 0.5, 0.25, -0.25, 1, 0.75, 0.5]
    known = permutation_test(
        (values,), lambda x: x.sum(), permutation_type="samples", alternative="two-sided", n_resamples=1e6
    )
    assert flipped_test(values, [None] * 7) == pytest.approx(float(known.pvalue))


def test_a_group_is_one_flip() -> None:
    # Three prompts of five: as much as three items show.
    assert flipped_test([1] * 15, [str(i // 5) for i in range(15)]) == pytest.approx(2 * 0.5**3)
    assert flipped_test([1, -1], ["x", "x"]) == 1


def test_many_groups_are_drawn_with_a_seed() -> None:
    rng = random.Random(3)
    values = [rng.choice([-1, 0, 1, 1]) for _ in range(120)]
    won, lost = values.count(1), values.count(-1)
    exact = float(binomtest(won, won + lost).pvalue)
    found = flipped_test(values, [None] * 120, 5)
    # Of 9,999 draws the standard error is 0.5 points at most.
    assert found == pytest.approx(exact, abs=0.015)
    assert flipped_test(values, [None] * 120, 5) == found
