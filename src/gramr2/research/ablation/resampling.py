"""Intervals for a mean over seeds and test comparisons: both are resampled, and comparisons with the same prompt stay together.

This is the pigeonhole bootstrap (Owen, Annals of Applied Statistics 2007). It counts the noise of single judgments about three
times, so if seeds hardly differ its intervals are too wide. If seeds differ a lot, two or three show too little of the spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramr2.evaluation.metrics import LEVEL, MIN_GROUPS, widened

RESAMPLES = 2000
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % percentile interval; ``p_value`` is twice the share of resamples at or beyond zero.

    Where all clusters say the same, resamples show no spread: then the bounds are those of ``gramr2.evaluation.metrics.widened``,
    and the p-value is that of the sign test over clusters.
    """

    value: float
    low: float
    high: float
    p_value: float


def two_way(
    values: Sequence[Sequence[float]], clusters: Sequence[str], seed: int = 0, lowest: float = -1.0
) -> Interval:
    """The mean of all values, resampling seeds and clusters with replacement.

    Args:
        values: for each seed a value per comparison; a single seed is not resampled.
        clusters: the cluster of each comparison. With fewer than ``MIN_GROUPS`` of them, comparisons are resampled instead.
        seed: of the resampling; the same seed draws the same resamples, whatever the values.
        lowest: that a value can be; the highest is 1.
    """
    table: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    places, count = _numbered(clusters)
    sums = np.stack([np.bincount(places, weights=row, minlength=count) for row in table])
    sizes = np.bincount(places, minlength=count).astype(np.float64)
    seeds = len(table)
    rng = np.random.default_rng(seed)
    drawn: list[NDArray[np.float64]] = []
    for size in _parts():
        times = _draws(rng, seeds, size) if seeds > 1 else np.ones((size, 1))
        weights = _draws(rng, count, size)
        drawn.append(((times @ sums) * weights).sum(1) / (seeds * (weights @ sizes)))
    means = np.concatenate(drawn)
    low, high = map(float, np.quantile(means, [0.025, 0.975]))
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p_value = min(1.0, 2 * (beyond + 1) / (RESAMPLES + 1))
    units = len(set(clusters))
    if high - low <= LEVEL:
        p_value = 1.0 if abs(low) <= LEVEL else min(1.0, 2 * 0.5**units)
    bounds = widened((low, high), units, lowest, 1.0)
    return Interval(float(table.mean()), bounds.low, bounds.high, p_value)


def by_cluster(clusters: Sequence[str]) -> bool:
    """Whether ``two_way`` keeps clusters together: some have several members, and there are enough of them."""
    return MIN_GROUPS <= len(set(clusters)) < len(clusters)


def _numbered(clusters: Sequence[str]) -> tuple[NDArray[np.intp], int]:
    if not by_cluster(clusters):
        return np.arange(len(clusters)), len(clusters)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[name] for name in clusters]), len(numbers)


def _parts() -> Iterator[int]:
    """Numbers of resamples to draw at once: all of them, with ten thousand clusters, would take a gigabyte."""
    for start in range(0, RESAMPLES, _AT_ONCE):
        yield min(_AT_ONCE, RESAMPLES - start)


def _draws(rng: np.random.Generator, n: int, size: int) -> NDArray[np.float64]:
    """How often each of ``n`` is drawn in ``n`` draws with replacement, ``size`` times over: (size, n)."""
    drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
