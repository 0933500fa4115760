"""Ways to learn from a few labels and a pool, for ``pool_view.py``.

A linear model on features is known by the inner products of differences alone: margin(x) = Σ αᵢ k(xᵢ, x). Every learner is
odd: exchanging the responses of a comparison changes the sign of its margin and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pool_source import Source
from scipy.optimize import minimize
from scipy.special import expit

from gramr2.baselines.logistic import FOLDS, STRENGTHS

NEWTON = 30


@dataclass(frozen=True)
class Draw:
    """Indices of labelled, tested and unlabelled comparisons; ``number`` seeds what is random."""

    source: Source
    labels: np.ndarray
    test: np.ndarray
    pool: np.ndarray
    number: int

    @cached_property
    def decided(self) -> np.ndarray:
        """The labelled ones that are no tie."""
        return self.labels[self.source.signs[self.labels] != 0]

    @property
    def signs(self) -> np.ndarray:
        """1 for A and −1 for B, of ``decided``."""
        found: np.ndarray = self.source.signs[self.decided]
        return found

    @cached_property
    def folds(self) -> list[np.ndarray]:
        """Positions in ``decided`` of each fold, whole groups."""
        groups = [self.source.groups[i] for i in self.decided]
        names = sorted(set(groups))
        np.random.default_rng(self.number).shuffle(names)
        fold = {name: i % FOLDS for i, name in enumerate(names)}
        found = [np.array([i for i, group in enumerate(groups) if fold[group] == f], int) for f in range(FOLDS)]
        return [each for each in found if len(each)]


def newton(
    rows: np.ndarray, strength: float, start: np.ndarray | None = None, weights: np.ndarray | None = None
) -> np.ndarray:
    """The b with the least Σ weight · log(1 + exp(−row · b)) + |b|² / (2 · strength): the loss of ``baselines.logistic``."""
    b = np.zeros(rows.shape[1]) if start is None else start
    weights = np.ones(len(rows)) if weights is None else weights

    def loss(at: np.ndarray) -> float:
        return float((weights * np.logaddexp(0, -(rows @ at))).sum() + at @ at / (2 * strength))

    value = loss(b)
    for _ in range(NEWTON):
        wrong = expit(-(rows @ b))
        slope = b / strength - (weights * wrong) @ rows
        curve = (rows * (weights * wrong * (1 - wrong))[:, None]).T @ rows + np.eye(len(b)) / strength
        step, size = np.linalg.solve(curve, slope), 1.0
        while loss(b - size * step) > value + 1e-12 and size > 1e-3:
            size /= 2
        b, before = b - size * step, value
        value = loss(b)
        if abs(before - value) < 1e-7 * (1 + abs(value)):
            break
    return b


def rotated(kernel: np.ndarray, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows with these inner products, and the matrix from their weights to α; the ``most`` longest directions of them."""
    values, vectors = np.linalg.eigh(kernel)
    kept = np.flatnonzero(values > values[-1] * 1e-10)[-(most or len(values)) :]
    root = np.sqrt(values[kept])
    return vectors[:, kept] * root, vectors[:, kept] / root


def fitted(kernel: np.ndarray, draw: Draw) -> tuple[np.ndarray, float]:
    """α of the labelled comparisons, and the strength with the least held-out loss."""
    signs = draw.signs
    rows, back = rotated(kernel * signs[:, None] * signs)
    losses = np.zeros(len(STRENGTHS))
    for fold in draw.folds:
        rest, b = np.delete(rows, fold, axis=0), None
        for i, strength in enumerate(STRENGTHS):
            b = newton(rest, strength, b)
            losses[i] += np.logaddexp(0, -(rows[fold] @ b)).sum()
    strength = STRENGTHS[int(np.argmin(np.round(losses, 6)))]
    return signs * (back @ newton(rows, strength)), strength


def linear(kernel: np.ndarray, draw: Draw) -> np.ndarray:
    """Bradley-Terry on the labels alone."""
    alpha, _ = fitted(kernel[np.ix_(draw.decided, draw.decided)], draw)
    found: np.ndarray = kernel[np.ix_(draw.test, draw.decided)] @ alpha
    return found


def scaled(margins: np.ndarray) -> np.ndarray:
    """In units of their root mean square."""
    found: np.ndarray = margins / np.sqrt((margins**2).mean() + 1e-12)
    return found


def normed(kernel: np.ndarray) -> np.ndarray:
    """With a mean squared length of one."""
    found: np.ndarray = kernel / kernel.diagonal().mean()
    return found


def together(kernels: Sequence[np.ndarray], draw: Draw) -> np.ndarray:
    """The sum of the scaled margins of a model on each kernel."""
    return np.sum([scaled(linear(each, draw)) for each in kernels], axis=0)


def bagged(kernel: np.ndarray, draw: Draw, times: int = 10) -> np.ndarray:
    """Mean over models of labels drawn with replacement."""
    inner, signs, rng = kernel[np.ix_(draw.decided, draw.decided)], draw.signs, np.random.default_rng(draw.number)
    strength, total = fitted(inner, draw)[1], np.zeros(len(draw.test))
    for _ in range(times):
        some = np.unique(rng.integers(0, len(signs), len(signs)))
        rows, back = rotated(inner[np.ix_(some, some)] * signs[some][:, None] * signs[some])
        total += kernel[np.ix_(draw.test, draw.decided[some])] @ (signs[some] * (back @ newton(rows, strength)))
    return total


def self_trained(
    kernel: np.ndarray,
    draw: Draw,
    share: float,
    weight: float,
    rounds: int = 1,
    soft: bool = False,
    other: np.ndarray | None = None,
    most: int = 800,
) -> np.ndarray:
    """Fitted again on the labels and the surest ``share`` of up to ``most`` unlabelled ones, with their margins' signs.

    Args:
        weight: of all pseudo-labels together, that of all labels being one.
        soft: a pseudo-label counts by its margin.
        other: a second kernel, whose model labels too (co-training).
    """
    rng = np.random.default_rng(draw.number)
    pool = rng.permutation(draw.pool)[:most]
    alpha, strength = fitted(kernel[np.ix_(draw.decided, draw.decided)], draw)
    margins = scaled(kernel[np.ix_(pool, draw.decided)] @ alpha)
    if other is not None:
        second, _ = fitted(other[np.ix_(draw.decided, draw.decided)], draw)
        margins = margins + scaled(other[np.ix_(pool, draw.decided)] @ second)
    for _ in range(rounds):
        surest = np.argsort(-np.abs(margins))[: int(share * len(pool))]
        used = np.concatenate([draw.decided, pool[surest]])
        signs = np.concatenate([draw.signs, np.sign(margins[surest])])
        belief = np.tanh(np.abs(margins[surest])) if soft else np.ones(len(surest))
        weights = np.concatenate([np.ones(len(draw.decided)), weight * len(draw.decided) * belief / belief.sum()])
        rows, back = rotated(kernel[np.ix_(used, used)] * signs[:, None] * signs, 150)
        alpha = signs * (back @ newton(rows, strength, weights=weights))
        margins = scaled(kernel[np.ix_(pool, used)] @ alpha)
    found: np.ndarray = kernel[np.ix_(draw.test, used)] @ alpha
    return found


class Geometry:
    """Principal directions of the differences of the unlabelled file."""

    def __init__(self, source: Source, rows: np.ndarray, kernel: np.ndarray) -> None:
        pool = rows[source.labeled :].astype(np.float64)
        values, vectors = np.linalg.eigh(pool @ pool.T)
        order = [i for i in np.argsort(values)[::-1] if values[i] > values[-1] * 1e-5]
        self.variances = values[order] / len(pool)
        self.scores = rows @ (pool.T @ vectors[:, order] / np.sqrt(values[order]))
        self.kernel, self.pool = kernel, slice(source.labeled, source.size)

    def whitened(self, power: float, shrunk: float) -> np.ndarray:
        """(Covariance + ``shrunk`` · mean variance)^−2·power between the differences; a half is full whitening."""
        ridge = shrunk * self.variances.sum() / 300
        stretch, rest = (self.variances + ridge) ** -power, ridge**-power
        outside = self.kernel - self.scores @ self.scores.T
        return normed((self.scores * stretch**2) @ self.scores.T + rest**2 * outside)

    def top(self, count: int) -> np.ndarray:
        """The first directions alone."""
        return normed(self.scores[:, :count] @ self.scores[:, :count].T)

    def without(self, count: int) -> np.ndarray:
        """All but the first directions."""
        return normed(self.kernel - self.scores[:, :count] @ self.scores[:, :count].T)

    def mixture(self, draw: Draw, count: int, weight: float) -> np.ndarray:
        """Linear discriminant of two mirrored Gaussians on shrunk white directions, the pool by expectation-maximisation."""
        stretch = 1 / np.sqrt(self.variances[:count] + self.variances[:count].mean())
        rows = self.scores[:, :count] * stretch
        known, unknown = rows[draw.decided] * draw.signs[:, None], rows[draw.pool]
        mean = known.mean(axis=0)
        slope = 1 / np.sqrt(((rows @ mean) ** 2).mean())
        for _ in range(8):
            belief = np.tanh(slope * (unknown @ mean))
            mean = (known.sum(axis=0) + weight * belief @ unknown) / (len(known) + weight * len(unknown))
        found: np.ndarray = rows[draw.test] @ mean
        return found

    def certain(self, draw: Draw, count: int, weight: float) -> np.ndarray:
        """Bradley-Terry that also has to be certain about the pool (entropy minimisation)."""
        rows = self.scores[:, :count] / np.sqrt((self.scores[:, :count] ** 2).sum(axis=1).mean())
        known, unknown = rows[draw.decided], rows[draw.pool]
        alpha, strength = fitted(known @ known.T, draw)
        won, scale = known * draw.signs[:, None], weight * len(known)

        def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
            own, other = won @ w, unknown @ w
            p = expit(other)
            entropy = np.logaddexp(0, -other) * p + np.logaddexp(0, other) * (1 - p)
            value = np.logaddexp(0, -own).sum() + w @ w / (2 * strength) + scale * entropy.mean()
            slope = w / strength - expit(-own) @ won - scale * (other * p * (1 - p)) @ unknown / len(unknown)
            return float(value), slope

        found = minimize(loss, known.T @ alpha, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
        return np.asarray(rows[draw.test] @ found)

    def smooth(self, weight: float, neighbours: int = 10, count: int = 200) -> np.ndarray:
        """A kernel whose models give neighbours in the pool like margins, up to their sign (Laplacian regularisation)."""
        rows = self.scores[:, :count]
        graph = signed_graph(rows[self.pool], neighbours)
        laplace = rows[self.pool].T @ ((np.diag(np.abs(graph).sum(axis=1)) - graph) @ rows[self.pool])
        laplace *= len(laplace) / np.trace(laplace)
        return normed(rows @ np.linalg.solve(np.eye(len(laplace)) + weight * laplace, rows.T))

    def propagated(self, draw: Draw, share: float, neighbours: int, count: int = 100) -> np.ndarray:
        """Labels spread over a graph of labelled, unlabelled and tested comparisons; this one sees the test's features."""
        used = np.concatenate([draw.decided, draw.pool, draw.test])
        graph = signed_graph(self.scores[used, :count], neighbours)
        root = np.sqrt(np.abs(graph).sum(axis=1))
        graph = graph / root[:, None] / root
        start = np.zeros(len(used))
        start[: len(draw.decided)] = draw.signs
        found = start
        for _ in range(30):
            found = share * (graph @ found) + (1 - share) * start
        return found[-len(draw.test) :]


def signed_graph(rows: np.ndarray, neighbours: int) -> np.ndarray:
    """Cosines of each row with those nearest to it or to its mirror image, 0 elsewhere."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (unit @ unit.T).astype(np.float32)
    np.fill_diagonal(cosines, 0)
    near = np.abs(cosines)
    least = np.partition(near, -neighbours, axis=1)[:, -neighbours]
    found: np.ndarray = np.where((near >= least) | (near >= least[:, None]), cosines, 0)
    return found
