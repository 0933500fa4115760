"""Accuracy of decisions with its interval, and the paired comparison of two judges on the same items.

Accuracy is over the items that the judge decided; abstentions lower the coverage and never count as right or wrong.
``accuracy_strict`` counts abstentions as wrong, for readers who want one number.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.signs import exact_test
from gramr2.judgment import Decision, Outcome

RESAMPLES = 2000
MIN_GROUPS = 10
LEVEL = 1e-9
"""bounds that differ by less are equal"""
CHUNK = 1 << 18
"""units that are drawn in one go"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval and how it was made: ``wilson``, or ``group bootstrap`` where items share prompts or sources."""

    low: float
    high: float
    method: str


class Told(Protocol):
    """A decision, or the line of an evaluation's folder that tells it."""

    @property
    def label(self) -> str | None: ...
    @property
    def order_flip(self) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Rates:
    """What every accuracy comes with: see ``rates``."""

    n: int
    decided: int
    accuracy: float | None
    low: float | None
    high: float | None
    interval: str
    order_flip_rate: float | None
    coverage: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a judge did on ``n`` labelled items; ``accuracy`` and its bounds are None when it decided none of them."""

    n: int
    decided: int
    accuracy: float | None
    low: float | None
    high: float | None
    interval: str
    accuracy_strict: float
    coverage: float
    vote_coverage: float | None
    order_flip_rate: float | None
    tie_rate: float | None
    first_position_rate: float | None
    outcomes: dict[str, int]
    by_category: dict[str, dict[str, float | int | None]]

    def headline(self) -> dict[str, Any]:
        """The keys that other tools rely on, in their order."""
        keys = ("n", "accuracy", "low", "high", "order_flip_rate", "coverage")
        return {key: getattr(self, key) for key in keys}


def wilson(successes: int, n: int) -> Interval:
    """Wilson's score interval for a share of independent items, 95 %."""
    from scipy.stats import binomtest  # takes half a second, which commands that measure nothing should not wait for

    bounds = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return Interval(float(bounds.low), float(bounds.high), "wilson")


def accuracy_interval(correct: Sequence[bool], groups: Sequence[str], seed: int = 0) -> Interval:
    """95 % interval of a mean of 0/1 values.

    Items of one group are not independent, so if there are at least ten groups and some have several items, whole groups
    are resampled (2,000 times, seeded; see ``widened``). With fewer groups a bootstrap over them is too narrow to trust, and
    Wilson's interval is used, which ignores the grouping.
    """
    members: dict[str, list[bool]] = defaultdict(list)
    for value, group in zip(correct, groups, strict=True):
        members[group].append(value)
    if len(members) == len(correct) or len(members) < MIN_GROUPS:
        return wilson(sum(correct), len(correct))
    bounds = bootstrap([(sum(values), len(values)) for values in members.values()], seed)
    return widened(bounds, len(members), 0.0, 1.0)


def share_interval(hits: Sequence[bool], groups: Sequence[str], seed: int = 0) -> Interval:
    """95 % interval of a share; if all are hits, or all misses, that of ``widened`` for as many units as groups."""
    if len(set(hits)) > 1:
        return accuracy_interval(hits, groups, seed)
    return widened((float(hits[0]), float(hits[0])), len(set(groups)), 0.0, 1.0)


def widened(bounds: tuple[float, float], units: int, lowest: float, highest: float) -> Interval:
    """The bounds of a bootstrap, unless it sees no spread since all units say the same.

    Then they are what other units leave possible: a share of these says otherwise, at most Wilson's upper bound for none of
    ``units``, and each of those may say anything from ``lowest`` to ``highest``.
    """
    low, high = bounds
    if high - low > LEVEL:
        return Interval(low, high, "group bootstrap")
    other = wilson(0, units).high
    return Interval(low - other * max(low - lowest, 0.0), high + other * max(highest - high, 0.0), "wilson")


def rated(
    right: Sequence[bool], groups: Sequence[str], seed: int = 0
) -> tuple[float, float, float] | tuple[None, None, None]:
    """The share of right decisions with its 95 % interval (see ``accuracy_interval``); three times None without a decision."""
    if not right:
        return None, None, None
    bounds = accuracy_interval(right, groups, seed)
    return fmean(right), bounds.low, bounds.high


def bootstrap(units: Sequence[tuple[float, int]], seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a mean: units of (sum, size) are resampled 2,000 times."""
    import numpy as np

    totals, sizes = np.array([total for total, _ in units], dtype=float), np.array([size for _, size in units])
    # The same draws as random.Random(seed).choices, much faster: both are the Mersenne Twister.
    *key, place = random.Random(seed).getstate()[1]
    draws = np.random.RandomState()
    draws.set_state({"bit_generator": "MT19937", "state": {"key": np.array(key, dtype=np.uint32), "pos": place}})
    means: list[float] = []
    while len(means) < RESAMPLES:
        rows = min(RESAMPLES - len(means), 1 + CHUNK // len(units))
        at = (draws.random_sample((rows, len(units))) * len(units)).astype(np.intp)
        means += (totals[at].sum(axis=1) / sizes[at].sum(axis=1)).tolist()
    means.sort()
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


def rates(items: Sequence[LabeledComparison], told: Sequence[Told], seed: int = 0) -> Rates:
    """The share of right decisions with its interval, and that of order flips, over what was decided; None where nothing was."""
    decided = [(item, each) for item, each in zip(items, told, strict=True) if each.label is not None]
    right = [each.label == item.label for item, each in decided]
    interval = accuracy_interval(right, [item.comparison.unit for item, _ in decided], seed) if right else None
    flips = [each.order_flip for _, each in decided if each.order_flip is not None]
    return Rates(
        n=len(items),
        decided=len(decided),
        accuracy=fmean(right) if right else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=interval.method if interval else "none",
        order_flip_rate=fmean(flips) if flips else None,
        coverage=len(decided) / len(items) if items else 0.0,
    )


def evaluate(items: Sequence[LabeledComparison], decisions: Sequence[Decision], seed: int = 0) -> Accuracy:
    """Measure decisions against labels; items and decisions are in the same order."""
    pairs = list(zip(items, decisions, strict=True))
    decided = [(item, decision) for item, decision in pairs if decision.label is not None]
    found = rates(items, decisions, seed)
    votes = [vote for _, decision in pairs for vote in decision.judgments]
    shown_first = [
        label.value == "A"
        for vote in votes
        if (label := _as_shown(vote.order.value, vote.outcome)) and label is not Label.TIE
    ]
    return Accuracy(
        n=found.n,
        decided=found.decided,
        accuracy=found.accuracy,
        low=found.low,
        high=found.high,
        interval=found.interval,
        accuracy_strict=fmean(decision.label is item.label for item, decision in pairs) if pairs else 0.0,
        coverage=found.coverage,
        vote_coverage=fmean(vote.outcome.label is not None for vote in votes) if votes else None,
        order_flip_rate=found.order_flip_rate,
        tie_rate=fmean(decision.label is Label.TIE for _, decision in decided) if decided else None,
        first_position_rate=fmean(shown_first) if shown_first else None,
        outcomes={outcome.value: sum(vote.outcome is outcome for vote in votes) for outcome in Outcome},
        by_category=_by_category(decided, pairs, seed),
    )


def _as_shown(order: str, outcome: Outcome) -> Label | None:
    label = outcome.label
    return label if label is None or order == "ab" else label.swap()


def _by_category(
    decided: Sequence[tuple[LabeledComparison, Decision]],
    pairs: Sequence[tuple[LabeledComparison, Decision]],
    seed: int,
) -> dict[str, dict[str, float | int | None]]:
    table: dict[str, dict[str, float | int | None]] = {}
    for category in sorted({item.comparison.category or "none" for item, _ in pairs}):
        part = [(item, d) for item, d in decided if (item.comparison.category or "none") == category]
        hits, groups = [d.label is item.label for item, d in part], [item.comparison.unit for item, _ in part]
        accuracy, low, high = rated(hits, groups, seed)
        table[category] = {
            "n": sum((item.comparison.category or "none") == category for item, _ in pairs),
            "accuracy": accuracy,
            "low": low,
            "high": high,
        }
    return table


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Exact McNemar test: how many items only the first or only the second judge got right, and the two-sided p-value.

    An abstention is not right. ``difference`` is the change in strict accuracy, ``low`` and ``high`` its 95 % bootstrap
    interval over items or groups.
    """

    only_before: int
    only_after: int
    p_value: float
    difference: float
    low: float
    high: float


def paired_test(
    items: Sequence[LabeledComparison], before: Sequence[Label | None], after: Sequence[Label | None], seed: int = 0
) -> PairedTest:
    """Compare the labels that two judges gave the same items; None is an abstention."""
    changes = [int(a is item.label) - int(b is item.label) for item, b, a in zip(items, before, after, strict=True)]
    low, high = paired_interval(changes, [item.comparison.unit for item in items], seed)
    lost, won = changes.count(-1), changes.count(1)
    return PairedTest(lost, won, exact_test(changes), (won - lost) / len(changes), low, high)


def paired_interval(
    differences: Sequence[float], groups: Sequence[str], seed: int = 0, lowest: float = -1.0
) -> tuple[float, float]:
    """95 % bootstrap interval of a mean of paired differences; items of one group are one unit, if there are ten groups.

    Where all units say the same, its bounds are those of ``widened`` for as many units as groups; a difference is from
    ``lowest`` to 1.
    """
    members: dict[str, list[float]] = defaultdict(list)
    for group, difference in zip(groups, differences, strict=True):
        members[group].append(difference)
    units = list(members.values()) if len(members) >= MIN_GROUPS else [[each] for each in differences]
    found = widened(bootstrap([(sum(unit), len(unit)) for unit in units], seed), len(members), lowest, 1.0)
    return found.low, found.high


def length_baseline(items: Sequence[LabeledComparison]) -> float:
    """Accuracy of always preferring the longer response, over all items; equal lengths count as a tie."""
    hits = 0
    for item in items:
        first, second = map(len, item.comparison.responses)
        guess = Label.TIE if first == second else Label.A if first > second else Label.B
        hits += guess is item.label
    return hits / len(items)
