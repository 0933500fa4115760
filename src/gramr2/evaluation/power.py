"""How many comparisons an answer takes, with 80 % power at the 5 % level, two-sided.

- Two judges on the same comparisons (Connor 1987, simplified): n = 7.84 · d / Δ², where d is the share of the comparisons that
  exactly one of the two gets right, and Δ the difference in accuracy.
- A judge against a bar b: n = (1.96 √(b(1−b)) + 0.84 √(p(1−p)))² / (p − b)², where p is its accuracy. It is the size at which
  Wilson's interval, which inverts the score test, excludes b (Fleiss, Levin and Paik 2003, chapter 2).

Comparisons of one prompt say less than as many of different prompts: n is multiplied by the design effect 1 + (m − 1) ρ (Kish
1965), with the intraclass correlation ρ and m = Σ m² / Σ m comparisons a prompt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from gramr2.evaluation.metrics import MIN_GROUPS

Z_LEVEL, Z_POWER = 1.959964, 0.841621
POWER = 7.84
"""(1.96 + 0.84)²"""


def visible_difference(discordant: float, n: int, design: float = 1.0) -> float:
    """The difference in accuracy that ``n`` comparisons detect; ``design`` is the design effect."""
    return math.sqrt(POWER * discordant * design / n)


def comparisons_for(difference: float, discordant: float, design: float = 1.0) -> int:
    """How many comparisons it takes to detect this difference; the inverse of ``visible_difference``."""
    return _whole(POWER * discordant / difference**2 * design)


def labels_for(accuracy: float, bar: float, design: float = 1.0) -> int | None:
    """How many comparisons it takes until the 95 % interval of this accuracy excludes the bar; None if it is the bar.

    Args:
        accuracy: the true one, from 0 to 1.
        bar: between 0 and 1, neither of them included.
        design: the design effect.
    """
    if accuracy == bar:
        return None
    spread = Z_LEVEL * math.sqrt(bar * (1 - bar)) + Z_POWER * math.sqrt(accuracy * (1 - accuracy))
    return _whole((spread / (accuracy - bar)) ** 2 * design)


def intraclass(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """The intraclass correlation of values within groups, from 0 to 1: the estimator of the analysis of variance, for groups of
    any size. 0 if no group has two values, or there are fewer than ten groups."""
    members: dict[Hashable, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        members.setdefault(group, []).append(value)
    n, count = len(values), len(members)
    if count in (n, 0) or count < MIN_GROUPS:
        return 0.0
    mean = sum(values) / n
    means = {group: sum(each) / len(each) for group, each in members.items()}
    between = sum(len(each) * (means[group] - mean) ** 2 for group, each in members.items()) / (count - 1)
    within = sum((value - means[group]) ** 2 for group, each in members.items() for value in each) / (n - count)
    size = (n - sum(len(each) ** 2 for each in members.values()) / n) / (count - 1)
    total = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0


def design_effect(correlation: float, groups: Sequence[Hashable]) -> float:
    """How many times as many comparisons it takes as independent ones would, at this intraclass correlation."""
    sizes = Counter(groups).values()
    return 1.0 + (sum(size**2 for size in sizes) / len(groups) - 1) * correlation if groups else 1.0


def _whole(number: float) -> int:
    # Without the last term, rounding would add a comparison to a whole number.
    return math.ceil(number - 1e-9)
