"""Means over seeds with intervals, and paired differences to the full method.

The unit is the seed: one draw of the labelled comparisons, the pool, and every random number. The test comparisons are the
same for all cells, so the intervals speak of other seeds on this test set. Fewer than ``MIN_SEEDS`` seeds cannot say how much
seeds differ; then the unit is the test comparison, and the intervals speak of other comparisons with these seeds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

RESAMPLES = 5000
MIN_SEEDS = 3
"""below this a t interval over seeds is as wide as the scale: with two, 12.7 standard errors"""
CORRECT = "correct"
"""key of a result: whether each test comparison was judged right, in the order of the test set"""


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of ``n`` seeds with its 95 % t interval: over seeds, where seeds are few over test comparisons, else None."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A variant over its seeds. ``difference`` is variant − full, paired by seed; None for the full method itself.

    ``kept``, ``label_accuracy`` and ``rationale_correct`` are of what the judge learnt from; ``lucky`` is the share of its right
    verdicts on the test set whose derivation is wrong, in the lab.
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
    """Mean with the t interval of independent, roughly normal values, cut off at what such values can be."""
    centre = fmean(values)
    if len(values) < 2:
        return Mean(centre, None, None, len(values))
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return Mean(centre, max(low, centre - half), min(high, centre + half), len(values))


def over_comparisons(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the intervals are over test comparisons: there are few seeds, and each result says what it got right."""
    return len({each["seed"] for each in results}) < MIN_SEEDS and all(CORRECT in each for each in results)


def _with_items(per_seed: Sequence[float], per_item: Sequence[Sequence[float]], low: float, high: float) -> Mean:
    """Mean over seeds with the interval of the test comparisons' means over seeds.

    Args:
        per_seed: a value per seed.
        per_item: for each seed, a value per test comparison.
    """
    items = mean([fmean(values) for values in zip(*per_item, strict=True)], low, high)
    return Mean(fmean(per_seed), items.low, items.high, len(per_seed))


def summarise(results: Sequence[Mapping[str, Any]], reference: str) -> list[Summary]:
    """A summary per variant, in the order in which variants come."""
    by_variant: dict[str, dict[int, Mapping[str, Any]]] = {}
    for each in results:
        by_variant.setdefault(each["variant"], {})[each["seed"]] = each
    full = by_variant.get(reference, {})
    few = over_comparisons(results)
    summaries = []
    for name, cells in by_variant.items():
        shared = [seed for seed in cells if seed in full]
        differences = [cells[seed]["accuracy"] - full[seed]["accuracy"] for seed in shared]
        accuracies = [each["accuracy"] for each in cells.values()]
        accuracy = mean(accuracies, 0.0, 1.0)
        difference = mean(differences, -1.0, 1.0) if name != reference and differences else None
        if few:
            accuracy = _with_items(accuracies, [each[CORRECT] for each in cells.values()], 0.0, 1.0)
            if difference:
                paired = [[a - b for a, b in zip(cells[s][CORRECT], full[s][CORRECT], strict=True)] for s in shared]
                difference = _with_items(differences, paired, -1.0, 1.0)

        def average(key: str, cells: dict[int, Mapping[str, Any]] = cells) -> float | None:
            found = [each[key] for each in cells.values() if each.get(key) is not None]
            return fmean(found) if found else None

        summaries.append(
            Summary(
                name,
                accuracy,
                difference,
                average("order_flip_rate"),
                average("kept"),
                average("kept_label_accuracy"),
                average("kept_rationale_correct"),
                average("right_label_wrong_derivation"),
            )
        )
    return summaries


def share_of_the_way(
    low: Sequence[float], reached: Sequence[float], high: Sequence[float], seed: int = 0
) -> tuple[float, float, float] | None:
    """(mean reached − mean low) / (mean high − mean low) with a 95 % bootstrap interval over seeds; None without a gap.

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
    return value, ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered)) - 1]
