"""Means over seeds with intervals, and paired differences to a reference variant.

If the cells have marks, seeds and test comparisons are both resampled, and the intervals apply to other seeds and other
comparisons (``gramr2.research.ablation.resampling``). Otherwise the unit is the seed: one draw of the labelled comparisons,
the pool, and every random number. The intervals then apply to other seeds on this test set.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

from gramr2.research.ablation.marks import MARKS, comparable
from gramr2.research.ablation.resampling import two_way

RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of ``n`` seeds with its 95 % interval, None if there is none; ``p_value`` only for differences, if available."""

    value: float
    low: float | None
    high: float | None
    n: int
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A variant over its seeds. ``difference`` is variant − reference, paired by seed; None for the reference itself.

    ``kept``, ``label_accuracy`` and ``rationale_correct`` describe what the judge learnt from; ``lucky`` is the share of its
    right verdicts on the test set whose derivation is wrong (lab only).
    """

    variant: str
    accuracy: Mean
    difference: Mean | None
    flips: float | None
    kept: float | None
    label_accuracy: float | None
    rationale_correct: float | None
    lucky: float | None


def mean(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> Mean:
    """Mean with the t interval for independent, roughly normal values, clipped to [low, high]."""
    centre = fmean(values)
    if len(values) < 2:
        return Mean(centre, None, None, len(values))
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return Mean(centre, max(low, centre - half), min(high, centre + half), len(values))


def summarise(results: Sequence[Mapping[str, Any]], reference: str) -> list[Summary]:
    """A summary per variant, in the order of the results.

    Args:
        results: results of the cells, with their ``Marks`` if comparisons are to be resampled too.
        reference: name of the variant to compare with.
    """
    by_variant: dict[str, dict[int, Mapping[str, Any]]] = {}
    for each in results:
        by_variant.setdefault(each["variant"], {})[each["seed"]] = each
    base = by_variant.get(reference, {})
    pooled = comparable(results)
    summaries = []
    for name, cells in by_variant.items():
        shared = [] if name == reference else [seed for seed in cells if seed in base]
        pairs = [(cells[seed], base[seed]) for seed in shared]

        def average(key: str, cells: dict[int, Mapping[str, Any]] = cells) -> float | None:
            found = [each[key] for each in cells.values() if each.get(key) is not None]
            return fmean(found) if found else None

        summaries.append(
            Summary(
                name,
                _accuracy(list(cells.values()), pooled),
                _difference(pairs, pooled) if pairs else None,
                average("order_flip_rate"),
                average("kept"),
                average("kept_label_accuracy"),
                average("kept_rationale_correct"),
                average("right_label_wrong_derivation"),
            )
        )
    return summaries


def _accuracy(cells: Sequence[Mapping[str, Any]], pooled: bool) -> Mean:
    values = [each["accuracy"] for each in cells]
    if not pooled:
        return mean(values, 0.0, 1.0)
    found = two_way([each[MARKS].right for each in cells], cells[0][MARKS].clusters, lowest=0.0)
    return Mean(fmean(values), found.low, found.high, len(cells))


def _difference(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], pooled: bool) -> Mean:
    values = [one["accuracy"] - other["accuracy"] for one, other in pairs]
    if not pooled:
        return mean(values, -1.0, 1.0)
    changes = [[a - b for a, b in zip(x[MARKS].right, y[MARKS].right, strict=True)] for x, y in pairs]
    found = two_way(changes, pairs[0][0][MARKS].clusters)
    return Mean(fmean(values), found.low, found.high, len(pairs), found.p_value)


def discordant_share(results: Sequence[Mapping[str, Any]], one: str, other: str) -> float | None:
    """Share of the test comparisons that exactly one of two variants judges right, a mean over seeds; None without marks."""
    found = {(each["variant"], each["seed"]): each for each in results}
    seeds = [seed for name, seed in found if name == one and (other, seed) in found]
    if not seeds or not comparable(results):
        return None
    pairs = [(found[one, seed][MARKS].right, found[other, seed][MARKS].right) for seed in seeds]
    return fmean(a != b for x, y in pairs for a, b in zip(x, y, strict=True))


def share_of_the_way(
    low: Sequence[float], reached: Sequence[float], high: Sequence[float], seed: int = 0
) -> Mean | None:
    """(mean reached − mean low) / (mean high − mean low) with a 95 % bootstrap interval over seeds; None without a gap.

    There is no interval of one seed, nor if more than one draw in twenty has no gap: it would leave out the least favourable.

    Args:
        low: accuracy per seed without the method.
        reached: with it, in the same order of seeds.
        high: at the ceiling, in the same order of seeds.
    """

    def share(indices: Sequence[int]) -> float | None:
        gap = fmean(high[i] - low[i] for i in indices)
        return fmean(reached[i] - low[i] for i in indices) / gap if gap > 0 else None

    everything = range(len(low))
    value = share(everything) if low else None
    if value is None:
        return None
    rng = random.Random(seed)
    drawn = [share(rng.choices(everything, k=len(low))) for _ in range(RESAMPLES)]
    ordered = sorted(each for each in drawn if each is not None)
    if len(low) < 2 or len(ordered) < 0.95 * RESAMPLES:
        return Mean(value, None, None, len(low))
    return Mean(value, ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered)) - 1], len(low))
