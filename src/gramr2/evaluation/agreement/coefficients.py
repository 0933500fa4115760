"""Cohen's κ and Krippendorff's α from counts, and their bootstrap intervals.

Every comparison counts in both orders, so that none of them depends on which response is stored first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gramr2.comparison import Label
from gramr2.evaluation.agreement.records import Estimate
from gramr2.evaluation.metrics import MIN_GROUPS, RESAMPLES, widened
from gramr2.randomness import derive_seed

Array = npt.NDArray[np.float64]
Measure = Callable[[Array], Array]
"""of sums of counts, a row each, to a figure each; not a number where it is not defined"""
LABELS = (Label.A, Label.B, Label.TIE)
PLACE = {label: place for place, label in enumerate(LABELS)}
_SWAPPED = [PLACE[label.swap()] for label in LABELS]
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts of some of the comparisons: where each is among all of them, and a row of counts for each."""

    at: Sequence[int]
    rows: Array

    @classmethod
    def of(cls, found: Mapping[int, Array]) -> Counted:
        """From the row of each place."""
        return cls([*found], np.array([*found.values()]) if found else np.zeros((0, 1)))

    @property
    def n(self) -> int:
        """How many comparisons are counted."""
        return len(self.at)

    @property
    def total(self) -> Array:
        """The sums of the counts, as one row."""
        found: Array = self.rows.sum(axis=0, keepdims=True)
        return found


class Resampled:
    """Units drawn with replacement 2,000 times, the same ones for every figure.

    Args:
        groups: of each comparison; with fewer than ten of them, comparisons are the units.
        seed: of the draws.
    """

    def __init__(self, groups: Sequence[Hashable], seed: int) -> None:
        self._groups = [*groups]
        units = groups if len(set(groups)) >= MIN_GROUPS else range(len(groups))
        places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
        self.units = len(places)
        self._place = np.array([places[unit] for unit in units], dtype=np.intp)
        rng = np.random.default_rng(derive_seed(seed, "agreement"))
        share = [1 / self.units] * self.units if self.units else [1.0]
        # A unit is drawn once on average, and never 256 times.
        chunks = (rng.multinomial(self.units, share, size=_CHUNK).astype(np.uint8) for _ in range(0, RESAMPLES, _CHUNK))
        self._times = np.concatenate([*chunks])

    def estimate(self, counted: Counted, measure: Measure) -> Estimate:
        """A figure over comparisons, and its percentile interval; none with fewer than ten units, or where one draw in twenty has
        no such figure."""
        n = counted.n
        value = float(measure(counted.total)[0]) if n else np.nan
        if np.isnan(value):
            return Estimate(n, None)
        units, inside = np.unique(self._place[[*counted.at]], return_inverse=True)
        if len(units) < MIN_GROUPS:
            return Estimate(n, value)
        sums = np.zeros((len(units), counted.rows.shape[1]))
        np.add.at(sums, inside, counted.rows)
        chunks = (self._times[i : i + _CHUNK, units].astype(np.float64) for i in range(0, RESAMPLES, _CHUNK))
        found = np.sort(measure(np.concatenate([chunk @ sums for chunk in chunks])))
        found = found[~np.isnan(found)]
        if len(found) < 0.95 * RESAMPLES:
            return Estimate(n, value)
        low, high = found[int(0.025 * len(found))], found[int(0.975 * len(found)) - 1]
        return Estimate(n, value, float(low), float(high))

    def groups_of(self, at: Sequence[int]) -> int:
        """How many groups these comparisons are of."""
        return len({self._groups[i] for i in at})

    def widened(self, found: Estimate, groups: int, lowest: float, highest: float) -> Estimate:
        """The figure with an interval that is not without width: see ``gramr2.evaluation.metrics.widened``."""
        if found.low is None or found.high is None:
            return found
        bounds = widened((found.low, found.high), groups, lowest, highest)
        return replace(found, low=bounds.low, high=bounds.high)

    def kappa(self, counted: Counted) -> Estimate:
        """Cohen's κ of (comparisons, 9) tables."""
        return self._agreed(counted, kappas, lambda sums: 1 - _chance(_symmetric(sums)))

    def alpha(self, counted: Counted) -> Estimate:
        """Krippendorff's α, nominal, of rows of ``counts``."""
        return self._agreed(counted, alphas, disagreement)

    def change(self, before: Counted, after: Counted) -> Estimate:
        """The second α less the first, of the same comparisons."""
        both = Counted(before.at, np.concatenate([before.rows, after.rows], axis=1))
        found = self.estimate(both, lambda sums: alphas(sums[:, 4:]) - alphas(sums[:, :4]))
        if found.value is None:
            return found
        least, most = (1 - 1 / float(disagreement(each.total)[0]) for each in (after, before))
        return self.widened(found, self.groups_of(both.at), least - 1, 1 - most)

    def _agreed(self, counted: Counted, measure: Measure, expected: Measure) -> Estimate:
        """A coefficient 1 − observed/expected disagreement. Where nobody differs it needs no draws, and so no ten units."""
        found = self.estimate(counted, measure)
        if found.value is None:
            return found
        if found.value == 1.0:
            found = replace(found, low=1.0, high=1.0)
        found = self.widened(found, self.groups_of(counted.at), 1 - 1 / float(expected(counted.total)[0]), 1.0)
        return found if found.low is None else replace(found, low=max(found.low, -1.0))


def table(first: Label, second: Label) -> Array:
    """The counts of one comparison for ``kappas``: 9 numbers, one of them 1."""
    found = np.zeros(9)
    found[3 * PLACE[first] + PLACE[second]] = 1
    return found


def counts(labels: Sequence[Label]) -> Array:
    """The counts of one comparison for ``alphas``: how often each label is given, and how far they disagree; two at least."""
    found = np.zeros(4)
    for label in labels:
        found[PLACE[label]] += 1
    found[3] = (len(labels) ** 2 - (found[:3] ** 2).sum()) / (len(labels) - 1)
    return found


def kappas(sums: Array) -> Array:
    """Cohen's κ of each row of 9 counts, 3 × 3 in the order A, B, tie."""
    tables = _symmetric(sums)
    total = tables.sum(axis=(1, 2))
    agreed = ratio(np.trace(tables, axis1=1, axis2=2), total)
    chance = _chance(tables)
    return ratio(agreed - chance, np.where(chance >= 1 - 1e-12, 0.0, 1 - chance))


def alphas(sums: Array) -> Array:
    """Krippendorff's α, nominal, of each row of sums of ``counts``."""
    observed = ratio(sums[:, 3], sums[:, :3].sum(axis=1))
    return 1 - ratio(observed, disagreement(sums))


def disagreement(sums: Array) -> Array:
    """What α expects of labels that are drawn from all, of each row of sums of ``counts``."""
    either, ties = sums[:, 0] + sums[:, 1], 2 * sums[:, 2]
    total = 2 * sums[:, :3].sum(axis=1)
    return ratio(total**2 - 2 * either**2 - ties**2, total * (total - 1))


def ratio(part: Array, whole: Array) -> Array:
    """Elementwise; not a number where the whole is zero."""
    found: Array = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)
    return found


def _symmetric(sums: Array) -> Array:
    tables = sums.reshape(-1, 3, 3)
    return tables + tables[:, _SWAPPED][:, :, _SWAPPED]


def _chance(tables: Array) -> Array:
    total = tables.sum(axis=(1, 2))
    return ratio((tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1), total**2)
