"""Scores from results, against figures worked out by hand or by another library."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from gramr2.rewards.aggregation import Aggregation, Match, cycles, standings
from gramr2.rewards.bradley_terry import PRIOR, fit, information


def test_two_responses_have_the_strength_that_a_line_of_algebra_gives() -> None:
    # Symmetric around 0: θ₁ = −θ₂ = t; at the optimum 3 + c − 4σ(2t) − 2cσ(t) = 0.
    wins = np.array([[0.0, 3.0], [1.0, 0.0]])
    t = fit(wins)[0]
    assert fit(wins)[1] == pytest.approx(-t)
    sigma = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    assert 3 + PRIOR - 4 * sigma(2 * t) - 2 * PRIOR * sigma(t) == pytest.approx(0, abs=1e-9)


def test_strengths_agree_with_logistic_regression() -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    wins = rng.integers(0, 5, size=(6, 6)).astype(float)
    np.fill_diagonal(wins, 0)

    def loss(theta: np.ndarray) -> float:
        against = np.log1p(np.exp(theta[None, :] - theta[:, None]))
        prior = PRIOR * (np.log1p(np.exp(-theta)) + np.log1p(np.exp(theta))).sum()
        return float((wins * against).sum() + prior)

    assert fit(wins) == pytest.approx(minimize(loss, np.zeros(6)).x, abs=1e-4)
    step = 1e-4
    bent = [
        (loss(fit(wins) + step * e) - 2 * loss(fit(wins)) + loss(fit(wins) - step * e)) / step**2 for e in np.eye(6)
    ]
    assert np.diag(information(wins, fit(wins))) == pytest.approx(bent, rel=1e-3)


def test_many_matrices_are_fitted_as_one() -> None:
    stack = np.random.default_rng(1).random((4, 5, 5))
    assert fit(stack) == pytest.approx(np.array([fit(each) for each in stack]), abs=1e-6)


@pytest.mark.parametrize("how", list(Aggregation))
def test_the_true_order_comes_out_and_intervals_hold_the_score(how: Aggregation) -> None:
    luck = random.Random(2)
    truth = [2.0, 1.0, 0.0, -1.0, -2.0]
    matches = [
        Match(a, b, float(luck.random() < 1 / (1 + math.exp(truth[b] - truth[a]))))
        for _ in range(60)
        for a, b in itertools.permutations(range(5), 2)
    ]
    found = standings(5, matches, how, seed=1)
    assert sorted(range(5), key=lambda i: -found[i].score) == [0, 1, 2, 3, 4]
    assert all(each.low <= each.score <= each.high for each in found)
    if how is Aggregation.BRADLEY_TERRY:
        assert all(each.low < true < each.high for each, true in zip(found, truth, strict=True))
    assert standings(5, matches, how, seed=1) == found


def test_more_comparisons_make_narrower_intervals() -> None:
    few = [Match(0, 1, 1.0), Match(0, 1, 0.0)]
    for how in Aggregation:
        one, many = (standings(2, few * times, how, seed=1)[0] for times in (2, 50))
        assert many.high - many.low < one.high - one.low or how is Aggregation.ELO


def test_a_win_rate_counts_ties_half_and_forgets_what_was_not_decided() -> None:
    found = standings(3, [Match(0, 1, 1.0), Match(0, 1, 0.5), Match(1, 2, None)], Aggregation.WIN_RATE)
    assert [each.score for each in found] == [0.75, 0.25, None]


def test_nothing_decided_is_no_score() -> None:
    for how in Aggregation:
        assert all(each.score is None for each in standings(3, [Match(0, 1, None)], how))


def test_an_elo_rating_does_not_depend_on_the_order_of_the_results() -> None:
    matches = [Match(a, b, float(a < b)) for a, b in itertools.combinations(range(6), 2)]
    one, other = (standings(6, each, Aggregation.ELO, seed=4) for each in (matches, matches[::-1]))
    assert [x.score for x in one] == pytest.approx([x.score for x in other], abs=3)
    assert sum(each.score for each in one) == pytest.approx(6000)


def test_cycles_are_counted_among_triples_that_are_decided() -> None:
    ring = [Match(0, 1, 1.0), Match(1, 2, 0.9), Match(2, 0, 1.0)]
    assert cycles(3, ring) == (1, 1)
    assert cycles(3, [*ring[:2], Match(2, 0, 0.2)]) == (0, 1)
    assert cycles(3, [*ring[:2], Match(2, 0, 0.5)]) == (0, 0)
    assert cycles(4, [*ring, Match(3, 0, 1.0), Match(3, 1, 1.0), Match(3, 2, 1.0)]) == (1, 4)
