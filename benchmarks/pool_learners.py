"""The candidates of ``pool_view.py``: kernels of frozen features, and ways to learn from a few labels and a pool.

A linear model on features is known by the inner products of differences alone: margin(x) = Σ αᵢ k(xᵢ, x). Every learner is
odd: exchanging the responses of a comparison changes the sign of its margin and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from pool_source import Source
from scipy.optimize import minimize
from scipy.special import expit

from gramr2.baselines.logistic import FOLDS, STRENGTHS

BASE = "base"
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


@dataclass(frozen=True)
class Candidate:
    """What a row of the table is: margins of a draw's test."""

    group: str
    name: str
    margins: Callable[[Draw], np.ndarray]


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


class Kernels:
    """Inner products that several candidates share; each is made when it is asked for."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.thirds = [round((source.layers - 1) * part / 3) for part in (1, 2, 3)]

    def blocks(self, number: int, *what: str) -> list[Callable[[], np.ndarray]]:
        """Features of a layer."""
        return [partial(self.source.layer, number, each) for each in what or ("mean", "last")]

    @cached_property
    def features(self) -> np.ndarray:
        """Those of the product: means and ends at three depths."""
        return np.concatenate([block() for number in self.thirds for block in self.blocks(number)], axis=1)

    @cached_property
    def own(self) -> np.ndarray:
        """Of ``features``."""
        return self.source.products(lambda: self.features)

    @cached_property
    def geometry(self) -> Geometry:
        """Of ``features``."""
        return Geometry(self.source, self.source.differences(self.features), self.own)

    @cached_property
    def likely(self) -> np.ndarray:
        """Of likelihoods and lengths."""
        return self.source.products(lambda: self.source.likely)

    @cached_property
    def words(self) -> np.ndarray:
        """Of words and pairs of words."""
        return normed(self.source.products(lambda: self.source.words))

    def base(self, draw: Draw) -> np.ndarray:
        """The product's view: standard deviations are those of the labelled responses."""
        features = self.features
        sides = np.concatenate([2 * draw.labels, 2 * draw.labels + 1])
        spread = features[sides].astype(np.float64).std(axis=0)
        scale = np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1])
        rows, tested = ((features[2 * i] - features[2 * i + 1]) / scale for i in (draw.decided, draw.test))
        found: np.ndarray = tested @ (rows.T @ fitted(rows @ rows.T, draw)[0])
        return found


def candidates(source: Source, groups: Sequence[str] | None = None) -> Iterator[Candidate]:
    """``base``, and then those of the groups; all of them by default. A kernel is made when its candidate comes."""
    kernels = Kernels(source)
    yield Candidate("", BASE, kernels.base)
    for name in GROUPS if groups is None else groups:
        for candidate, margins in GROUPS[name](kernels):
            yield Candidate(name, candidate, margins)


Named = Iterator[tuple[str, Callable[[Draw], np.ndarray]]]


def _geometry(kernels: Kernels) -> Named:
    yield "scaled by the pool", partial(linear, kernels.own)
    for power in (0.25, 0.5):
        for shrunk in (0.1, 1.0, 10.0):
            yield f"whitened, power {power}, shrunk {shrunk}", partial(linear, kernels.geometry.whitened(power, shrunk))
    for count in (30, 100, 300):
        yield f"first {count} directions", partial(linear, kernels.geometry.top(count))
    for count in (1, 3, 10):
        yield f"without the first {count} directions", partial(linear, kernels.geometry.without(count))


def _layers(kernels: Kernels) -> Named:
    single, products = [], kernels.source.products
    for number in range(1, kernels.source.layers):
        single.append(products(*kernels.blocks(number)))
        yield f"layer {2 * number}", partial(linear, single[-1])
    yield "all layers", partial(linear, np.mean(single, axis=0))
    yield "all layers, margins added", partial(together, single)
    third = kernels.thirds[1]
    yield f"layer {2 * third}, mean alone", partial(linear, products(*kernels.blocks(third, "mean")))
    sides = [products(*(b for n in kernels.thirds for b in kernels.blocks(n, what))) for what in ("mean", "last")]
    yield "means alone", partial(linear, sides[0])
    yield "ends alone", partial(linear, sides[1])
    yield "means and ends, margins added", partial(together, sides)
    yield "ten draws of the labels, margins added", partial(bagged, kernels.own)


def _features(kernels: Kernels) -> Named:
    yield "likelihood and length alone", partial(linear, kernels.likely)
    for weight in (0.1, 0.3, 1.0):
        kernel = normed(kernels.own) + weight * normed(kernels.likely)
        yield f"base and {weight} likelihood", partial(linear, kernel)
    yield "words alone", partial(linear, kernels.words)
    yield "base and 0.3 words", partial(linear, normed(kernels.own) + 0.3 * kernels.words)


def _pool(kernels: Kernels) -> Named:
    own, geometry = kernels.own, kernels.geometry
    for share, weight in ((0.2, 0.5), (0.5, 1.0)):
        run = partial(self_trained, own, share=share, weight=weight)
        yield f"own labels, surest {share}", run
        yield f"own and words' labels, surest {share}", partial(run, other=kernels.words)
    yield "own labels, three rounds", partial(self_trained, own, share=0.3, weight=0.5, rounds=3)
    yield "own labels, all, by margin", partial(self_trained, own, share=1.0, weight=1.0, soft=True)
    for count in (30, 100, 300):
        for weight in (0.0, 0.02, 0.1):
            run = partial(geometry.mixture, count=count, weight=weight)
            yield f"mixture on {count} directions, pool × {weight}", run
    for count, weight in ((100, 0.3), (100, 1.0), (300, 1.0)):
        yield f"certain, {count} directions, × {weight}", partial(geometry.certain, count=count, weight=weight)
    for weight in (1.0, 5.0, 20.0):
        yield f"smooth, × {weight}", partial(linear, geometry.smooth(weight))
    for share, neighbours in ((0.5, 10), (0.9, 20)):
        run = partial(geometry.propagated, share=share, neighbours=neighbours)
        yield f"propagated, {share}, {neighbours} neighbours", run


def _more(kernels: Kernels) -> Named:
    """From what ``pool_features.py --more`` made; none where it made nothing."""
    source, more = kernels.source, kernels.source.more
    if more is None:
        return
    thirds = kernels.thirds

    def layer(what: str, number: int) -> np.ndarray:
        found: np.ndarray = more[what][:, number]
        return found

    def context(number: int) -> np.ndarray:
        return source.layer(number, "mean") - layer("alone_mean", number)

    gained = source.likely[:, 0] - more["alone_score"][:, 0]
    both_ways = [source.likely, gained, gained / np.maximum(source.likely[:, 2], 1), more["alone_score"]]
    asked = source.products(*(partial(layer, "asked", n) for n in thirds))
    bare = source.products(*(partial(layer, what, n) for n in thirds for what in ("alone_mean", "alone_last")))
    likely = source.products(lambda: np.column_stack(both_ways))
    yield "state after the question alone", partial(linear, asked)
    yield "Yes and No alone", partial(linear, source.products(lambda: more["answer"]))
    yield "without the prompt alone", partial(linear, bare)
    yield "what the prompt changes alone", partial(linear, source.products(*(partial(context, n) for n in thirds)))
    yield "likelihood with and without the prompt alone", partial(linear, likely)
    inside = np.isfinite(asked.diagonal())
    own = kernels.own / kernels.own.diagonal()[inside].mean()
    named = {"after the question": asked, "without the prompt": bare, "likelihood both ways": likely}
    for weight in (0.3, 1.0):
        for name, kernel in named.items():
            yield f"base and {weight} {name}", partial(linear, own + weight * kernel / kernel.diagonal()[inside].mean())


GROUPS: dict[str, Callable[[Kernels], Named]] = {
    "geometry": _geometry,
    "layers": _layers,
    "features": _features,
    "pool": _pool,
    "more": _more,
}
