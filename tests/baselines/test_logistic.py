"""The regression below the learnt baselines."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from conftest import labeled
from gramr2.baselines.logistic import STRENGTHS, USUAL, fit_logistic
from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import DataError
from gramr2.judging.preference import decided, ties_of


def planted(count: int, features: int, noise: float, seed: int = 0) -> tuple[np.ndarray, list[LabeledComparison]]:
    """Differences of which the first feature decides, up to noise."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, features)) / np.sqrt(features)
    sides = rows[:, 0] * np.sqrt(features) + noise * rng.normal(size=count)
    return rows, [labeled(str(i), Label.A if side > 0 else Label.B) for i, side in enumerate(sides)]


def test_it_finds_the_planted_feature_and_believes_noise_less() -> None:
    rows, items = planted(200, 8, 0.1)
    clear = fit_logistic(rows, items, 0)
    assert np.argmax(np.abs(clear.weights)) == 0
    assert clear.weights[0] > 3 * np.abs(clear.weights[1:]).max()
    _, random = planted(200, 8, 1e9)
    assert fit_logistic(rows, random, 0).strength < clear.strength


def test_wide_rows_give_the_solution_of_the_whole_space() -> None:
    """Rotated into the span of the rows or not: the gradient of the L2 problem vanishes."""
    for count, features in ((30, 200), (200, 30)):
        rows, items = planted(count, features, 0.5)
        fitted = fit_logistic(rows, items, 0)
        signs = np.array([1.0 if item.label is Label.A else -1.0 for item in items])
        won = rows * signs[:, None]
        gradient = fitted.weights - fitted.strength * won.T @ (1 / (1 + np.exp(won @ fitted.weights)))
        assert np.abs(gradient).max() < 1e-2 * np.abs(fitted.weights).max()


def test_exchanging_responses_of_the_seed_changes_nothing() -> None:
    rows, items = planted(60, 12, 1.0)
    flipped = rows.copy()
    flipped[::2] *= -1
    other = [item.swap() if i % 2 == 0 else item for i, item in enumerate(items)]
    one, two = fit_logistic(rows, items, 0), fit_logistic(flipped, other, 0)
    assert two.strength == one.strength
    assert two.weights == pytest.approx(one.weights, abs=1e-6)


def test_sparse_rows_are_the_same_rows_and_one_label_is_enough() -> None:
    rows, items = planted(40, 6, 0.5)
    assert fit_logistic(csr_array(rows), items, 0).weights == pytest.approx(fit_logistic(rows, items, 0).weights)
    alike = [labeled(str(i), Label.A) for i in range(40)]
    assert np.isfinite(fit_logistic(rows, alike, 0).weights).all()
    assert not fit_logistic(np.zeros((40, 6)), items, 0).weights.any()


def test_groups_stay_together_when_the_strength_is_chosen() -> None:
    """Copies of a comparison in one group: held out apart they would look as if noise could be learnt."""
    rows, items = planted(30, 60, 1e9)
    copied = np.repeat(rows, 4, axis=0)
    alone = [labeled(f"{i}", item.label) for i, item in enumerate(x for x in items for _ in range(4))]
    grouped = [
        labeled(f"{i}", item.label, group=item.comparison.id)
        for i, item in enumerate(x for x in items for _ in range(4))
    ]
    assert fit_logistic(copied, alone, 0).strength >= 100 * fit_logistic(copied, grouped, 0).strength


def test_as_many_new_comparisons_tie_as_the_seed_has_ties() -> None:
    """More features than comparisons: what was fitted stands far apart, and a margin set by it would swallow the rest."""
    rows, items = planted(400, 300, 1.0)
    tied = [LabeledComparison(item.comparison, Label.TIE) if i % 5 == 0 else item for i, item in enumerate(items)]
    fitted = fit_logistic(rows[:100], tied[:100], 0)
    comparisons = [item.comparison for item in items]

    def share(part: slice) -> float:
        decisions = decided(comparisons[part], (rows[part] @ fitted.weights).tolist(), fitted.ties)
        return sum(d.label is Label.TIE for d in decisions) / len(decisions)

    assert share(slice(100, 400)) == pytest.approx(0.2, abs=0.08)
    in_sample = ties_of((rows[:100] @ fitted.weights).tolist(), tied[:100])
    assert in_sample.margin > 1.5 * fitted.ties.margin


def test_too_little_to_choose_by() -> None:
    rows, items = planted(6, 3, 0.1)
    assert fit_logistic(rows, items, 0).strength == USUAL
    assert fit_logistic(rows[:1], items[:1], 0).strength == USUAL
    assert USUAL in STRENGTHS
    with pytest.raises(DataError, match="all ties"):
        fit_logistic(rows, [labeled(str(i), Label.TIE) for i in range(6)], 0)
