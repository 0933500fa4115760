"""How sure an official score is, whatever its formula: a bootstrap over the groups of a benchmark."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from gramr2.evaluation.benchmarks.base import Benchmark
from gramr2.evaluation.benchmarks.failures import OnFailure
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair
from gramr2.evaluation.metrics import MIN_GROUPS, Interval, widened

RESAMPLES = 300


def interval_of(
    benchmark: Benchmark,
    items: Sequence[Item],
    answers: Sequence[Answer],
    policy: OnFailure | None = None,
    seed: int = 0,
) -> Interval | None:
    """95 % percentile interval of the overall score: groups are drawn with replacement and the whole score is computed anew, 300
    times. An item without a group is one of its own. Where all groups say the same, the bounds are those of ``widened``.

    None with fewer than ten groups, or where the score is not defined in every draw.
    """
    groups: dict[str, list[tuple[Item, Answer]]] = defaultdict(list)
    for item, answer in zip(items, answers, strict=True):
        groups[item.group or f"\x00{item.id}"].append((item, answer))
    if len(groups) < MIN_GROUPS:
        return None
    # Groups and their items in the order of their names, so that the order of the source changes nothing.
    units = [sorted(groups[name], key=lambda each: each[0].id) for name in sorted(groups)]
    rng = random.Random(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = [
            (_copy(item, number), answer)
            for number, unit in enumerate(rng.choices(units, k=len(units)))
            for item, answer in unit
        ]
        values = benchmark.official(
            [item for item, _ in drawn], [answer for _, answer in drawn], policy or benchmark.policy
        )
        overall = values["overall"]
        if overall is None:
            return None
        found.append(overall)
    found.sort()
    return widened((found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES) - 1]), len(units), 0.0, 1.0)


def _copy(item: Item, number: int) -> Item:
    """The item in a group of its own: one that is drawn twice is two."""
    if isinstance(item, Pair) or item.group is None:
        return item
    return replace(item, group=f"{item.group}#{number}")
