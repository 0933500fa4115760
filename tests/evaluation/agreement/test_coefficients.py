"""κ and α from counts, against hand-computed values and the package that is used for data."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.annotators import agreement
from gramr2.evaluation.agreement.coefficients import Counted, Resampled, alphas, counts, kappas, table

A, B, TIE = Label.A, Label.B, Label.TIE
labels = st.sampled_from([A, B, TIE])


def kappa(pairs: Sequence[tuple[Label, Label]]) -> float:
    return float(kappas(np.array([sum(table(*pair) for pair in pairs)]))[0])


def alpha(units: Sequence[Sequence[Label]]) -> float:
    return float(alphas(np.array([sum(counts(each) for each in units)]))[0])


def test_by_hand() -> None:
    # In both orders: agreed on 4 of 6; by chance 2 · (1/3)² + (1/3)².
    assert kappa([(A, A), (A, B), (TIE, TIE)]) == pytest.approx((4 / 6 - 1 / 3) / (1 - 1 / 3))
    # Ten ratings, five of them A: observed disagreement 4/10, expected 2 · 5 · 5 / (10 · 9).
    assert alpha([[A, A, B], [A, A]]) == pytest.approx(1 - 0.4 / (50 / 90))
    assert np.isnan(kappa([(TIE, TIE)])) and np.isnan(alpha([[TIE, TIE]]))
    assert (kappa([(A, A), (B, B)]), alpha([[A, A], [B, B]])) == (1.0, 1.0)


@given(st.lists(st.lists(labels, min_size=2, max_size=5), min_size=1, max_size=8))
def test_alpha_is_that_of_the_data(units: list[list[Label]]) -> None:
    rows = [
        LabeledComparison(Comparison.of(str(i), "a", "b", id=f"{i}-{n}"), label)
        for i, unit in enumerate(units)
        for n, label in enumerate(unit)
    ]
    known = agreement(rows).alpha
    assert alpha(units) == (pytest.approx(known) if known is not None else pytest.approx(float("nan"), nan_ok=True))


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=10))
def test_kappa_is_that_of_the_data(pairs: list[tuple[Label, Label]]) -> None:
    rows = [
        LabeledComparison(Comparison.of(str(i), "a", "b", id=f"{i}-{n}"), label, annotator="pq"[n])
        for i, pair in enumerate(pairs)
        for n, label in enumerate(pair)
    ]
    known = agreement(rows).cohen
    if known is not None and not np.isnan(known):
        assert kappa(pairs) == pytest.approx(known)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    # Two annotators who are each right on 80 %: they agree on 0.68, and by chance on 0.5.
    rng, covered = random.Random(5), 0
    for run in range(200):
        pairs = []
        for _ in range(100):
            truth = rng.choice([A, B])
            pairs.append(tuple(truth if rng.random() < 0.8 else truth.swap() for _ in range(2)))
        found = Resampled(range(100), run).kappa(Counted.of({i: table(*pair) for i, pair in enumerate(pairs)}))
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.36 <= found.high
    # A percentile interval at this n; the standard error of the share is 1.5 points.
    assert 0.89 <= covered / 200 <= 0.99


def test_comparisons_of_one_prompt_are_drawn_together() -> None:
    rows = Counted.of({i: table(A, A if i // 10 % 2 else B) for i in range(200)})
    alone, together = Resampled(range(200), 0).kappa(rows), Resampled([i // 10 for i in range(200)], 0).kappa(rows)
    assert alone.value == together.value == 0
    assert together.low is not None and alone.low is not None and together.low < 2 * alone.low < 0


def test_little_says_nothing_and_full_agreement_is_not_certainty() -> None:
    few = Resampled(range(9), 0).kappa(Counted.of({i: table(A, A if i else B) for i in range(9)}))
    assert few.value is not None and few.low is None
    assert Resampled([], 0).kappa(Counted.of({})).value is None
    full = Resampled(range(40), 0).kappa(Counted.of({i: table(A, A) for i in range(40)}))
    # Wilson's lower bound of 40 of 40 is 0.9124; by chance they agree on one half, whatever is stored first.
    assert (full.value, full.high) == (1, 1)
    assert full.low == pytest.approx((0.91238 - 0.5) / 0.5, abs=1e-4)


def test_full_agreement_is_counted_in_prompts() -> None:
    drawn = Resampled([i // 4 for i in range(40)], 0)
    kappa = drawn.kappa(Counted.of({i: table(A, A) for i in range(40)}))
    alpha = drawn.alpha(Counted.of({i: counts([A, A]) for i in range(40)}))
    # Of ten prompts Wilson's lower bound is 0.7225. Of 80 labels, A and B alike, two that are drawn differ in 40 of 79 cases.
    assert (kappa.value, kappa.low, kappa.high) == (1, pytest.approx((0.72247 - 0.5) / 0.5, abs=1e-4), 1)
    by_chance = 80 / 159
    assert (alpha.value, alpha.low, alpha.high) == (1, pytest.approx(1 - (1 - 0.72247) / by_chance, abs=1e-4), 1)
    # Nobody ever agrees.
    never = drawn.kappa(Counted.of({i: table(A, B) for i in range(40)}))
    assert (never.value, never.low, never.high) == (-1, -1, pytest.approx(-1 + 2 * (1 - 0.72247), abs=1e-4))
    # As one more annotator the judge changes nothing, as far as ten prompts tell.
    two, three = (Counted.of({i: counts([A] * n) for i in range(40)}) for n in (2, 3))
    change = drawn.change(two, three)
    assert change.value == 0
    assert change.low == pytest.approx(-(1 - 0.72247) / (120 / 239), abs=1e-4)
    assert change.high == pytest.approx((1 - 0.72247) / by_chance, abs=1e-4)
    # By chance nearly all say tie, and a prompt that does not could be worth more than everything.
    rare = drawn.kappa(Counted.of({i: table(A, A) if i == 0 else table(TIE, TIE) for i in range(40)}))
    assert (rare.value, rare.low, rare.high) == (1, -1, 1)


def test_where_figures_have_spread_their_intervals_are_those_of_the_draws() -> None:
    rng = random.Random(3)
    drawn = Resampled([i // 3 for i in range(60)], 1)
    labels = [(rng.choice([A, B]), rng.choice([A, A, B, TIE])) for _ in range(60)]
    pairs = Counted.of({i: table(*each) for i, each in enumerate(labels)})
    both = Counted.of({i: counts(each) for i, each in enumerate(labels)})
    assert drawn.kappa(pairs) == drawn.estimate(pairs, kappas)
    assert drawn.alpha(both) == drawn.estimate(both, alphas)
