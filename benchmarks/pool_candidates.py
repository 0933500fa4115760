"""The candidates of ``pool_view.py``: kernels of frozen features, and what learns on them, in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from pool_learners import Draw, Geometry, bagged, fitted, linear, normed, self_trained, together
from pool_source import Source

BASE = "base"


@dataclass(frozen=True)
class Candidate:
    """What a row of the table is: margins of a draw's test."""

    group: str
    name: str
    margins: Callable[[Draw], np.ndarray]


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
