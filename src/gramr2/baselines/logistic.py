"""Bradley-Terry on differences of features: P(A) = σ(w · (f(A) − f(B))), with an L2 penalty chosen by cross-validation.

There is no intercept, so exchanging the responses changes the sign of the log-odds and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import DataError
from gramr2.judging.preference import Ties, ties_of
from gramr2.randomness import fraction

STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-6, 7))
"""prior variances of the weights, for differences of about unit length: 0.001 hardly moves from one half, 1000 hardly shrinks"""
USUAL = 1.0
"""if there is too little data to choose by"""
FOLDS = 5
MIN_DECIDED = 10
MOST = 3000
"""comparisons to fit at most, drawn by the seed: more of them change little, and their features would fill the memory"""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights, shape (features,); the strength they were fitted with; and the ties."""

    weights: np.ndarray
    strength: float
    ties: Ties


def fit_logistic(rows: Any, labeled: Sequence[LabeledComparison], seed: int) -> Fitted:
    """Fit on the comparisons that are not ties; ties only set the margin, so that as many comparisons tie when held out.

    Args:
        rows: f(A) − f(B) of each comparison, shape (comparisons, features), an array or a scipy sparse matrix.
        labeled: the comparisons, in the same order.
        seed: draws the folds.

    Raises:
        DataError: every comparison is a tie.
    """
    decided = [i for i, item in enumerate(labeled) if item.label is not Label.TIE]
    if not decided:
        raise DataError("a baseline learns from comparisons with a better response, and these are all ties")
    if len(decided) > MOST:
        order = sorted(decided, key=lambda i: fraction(seed, "fitted", labeled[i].comparison.id))
        decided = sorted(order[:MOST])
    signs = np.array([1.0 if labeled[i].label is Label.A else -1.0 for i in decided])
    won = _dense(rows[decided]) * signs[:, None]
    reduced, basis = _rotated(won)
    folds = _folds([labeled[i] for i in decided], seed)
    strength = _chosen(reduced, folds)
    weights = _weights(reduced, strength)
    weights = weights if basis is None else won.T @ (basis @ weights)
    margins = np.asarray(rows @ weights)
    for fold in folds:
        # Fitted comparisons have larger margins than others, and ties were not fitted: the ties need held-out margins.
        held_out = reduced[fold] @ _weights(np.delete(reduced, fold, axis=0), strength)
        margins[np.array(decided)[fold]] = signs[fold] * held_out
    return Fitted(weights, strength, ties_of(margins.tolist(), labeled))


def _rotated(won: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows, with the same inner products, in as many columns as rows: exact, since the L2 solution lies in their span.

    Returns (rows in the new basis, the matrix from their weights to coefficients of ``won``'s rows), or (``won``, None).
    """
    count, features = won.shape
    if count >= features:
        return won, None
    values, vectors = np.linalg.eigh(won @ won.T)
    kept = values > max(values[-1], 0.0) * 1e-12
    if not kept.any():
        return won, None
    root = np.sqrt(values[kept])
    return vectors[:, kept] * root, vectors[:, kept] / root


def _folds(items: Sequence[LabeledComparison], seed: int) -> list[np.ndarray]:
    """Indices of each fold, with groups kept whole; no fold if there is too little data to choose by."""
    groups: dict[str, list[int]] = {}
    shared = Counter(item.comparison.unit for item in items)
    for i, item in enumerate(items):
        alone = shared[item.comparison.unit] == 1
        name = f"\x00{item.comparison.id}" if alone and item.comparison.group is None else item.comparison.unit
        groups.setdefault(name, []).append(i)
    if len(items) < MIN_DECIDED or len(groups) < 2:
        return []
    names = sorted(groups, key=lambda name: (fraction(seed, "fold", name), name))
    return [
        np.array(sorted(i for name in names[fold::FOLDS] for i in groups[name]))
        for fold in range(min(FOLDS, len(names)))
    ]


def _chosen(won: np.ndarray, folds: Sequence[np.ndarray]) -> float:
    """The strength with the lowest held-out loss; the smallest of equal ones."""
    if not folds:
        return USUAL
    losses: dict[float, float] = dict.fromkeys(STRENGTHS, 0.0)
    for fold in folds:
        rest = np.delete(won, fold, axis=0)
        weights = None
        for strength in STRENGTHS:
            # From the weights of the strength before, which are not far.
            weights = _weights(rest, strength, weights)
            losses[strength] += float(np.logaddexp(0.0, -(won[fold] @ weights)).sum())
    best: float = min(STRENGTHS, key=lambda strength: (round(losses[strength], 6), strength))
    return best


def _weights(won: np.ndarray, strength: float, start: np.ndarray | None = None) -> np.ndarray:
    """The weights with the least mean of log(1 + exp(−won · w)) + |w|² / (2 · strength · rows)."""
    from scipy.optimize import minimize
    from scipy.special import expit

    count, decay = len(won), 1 / (strength * len(won))

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = won @ weights
        value = np.logaddexp(0.0, -margins).mean() + decay / 2 * (weights @ weights)
        return float(value), decay * weights - expit(-margins) @ won / count

    fitted = minimize(
        objective,
        np.zeros(won.shape[1]) if start is None else start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "gtol": 1e-6, "ftol": 1e-14, "maxls": 50},
    )
    return np.asarray(fitted.x)


def _dense(rows: Any) -> np.ndarray:
    found = rows.toarray() if hasattr(rows, "toarray") else rows
    return np.asarray(found, dtype=np.float64)
