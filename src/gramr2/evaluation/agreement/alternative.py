"""Is the judge as good as a person? The alternative annotator test.

Source: Calderon, Reichart and Dror 2025, arXiv 2501.10970. Each annotator is left out in turn, and the judge and the annotator
are compared by how many of the others agree with them. The difference of the two shares is tested against ε, what the judge may
be worse since it costs less: 0.2 where annotators are experts, 0.15 where they are skilled, 0.1 for crowds. Where comparisons
share a prompt, the t statistic has the variance of a mean of clusters; without shared prompts it is the one of the paper.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from gramr2.comparison import Label
from gramr2.data.annotations import Labels
from gramr2.evaluation.agreement.records import Advantage

EPSILON = 0.1
ANNOTATORS, COMPARISONS = 3, 30
"""fewer than these are not tested, as in the paper"""
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison with the judge's label, those of its annotators, and the group whose comparisons are alike."""

    label: Label
    labels: Labels
    group: Hashable


def advantages(judged: Sequence[Judged], epsilon: float = EPSILON) -> dict[str, Advantage]:
    """The judge against every annotator with 30 comparisons that another one has labelled too."""
    from scipy.stats import false_discovery_control

    shares: dict[str, list[tuple[bool, bool, Hashable]]] = defaultdict(list)
    for each in judged:
        for name, label in each.labels.items():
            others = [other for who, other in each.labels.items() if who != name]
            if others:
                judge, person = others.count(each.label), others.count(label)
                shares[name].append((judge >= person, person >= judge, each.group))
    tested = {name: rows for name, rows in shares.items() if len(rows) >= COMPARISONS}
    if not tested:
        return {}
    values = [
        worse_by([person - judge for judge, person, _ in rows], [group for *_, group in rows], epsilon)
        for rows in tested.values()
    ]
    adjusted = [float(value) for value in false_discovery_control(values, method="by")]
    return {
        name: Advantage(
            len(rows),
            sum(judge for judge, *_ in rows) / len(rows),
            sum(person for _, person, _ in rows) / len(rows),
            value,
            value <= LEVEL,
        )
        for (name, rows), value in zip(tested.items(), adjusted, strict=True)
    }


def worse_by(differences: Sequence[int], groups: Sequence[Hashable], epsilon: float) -> float:
    """One-sided p-value of “the mean of differences of −1, 0 and 1 is ε or more”.

    Where all are the same there is no variance to estimate, and it is the largest probability of that under such a mean.
    """
    from scipy.stats import t

    n = len(differences)
    mean = sum(differences) / n
    sums: dict[Hashable, float] = defaultdict(float)
    for difference, group in zip(differences, groups, strict=True):
        sums[group] += difference - mean
    clusters = len(sums)
    error = math.sqrt(sum(each**2 for each in sums.values()) * clusters / (clusters - 1)) / n if clusters > 1 else 0.0
    if error < 1e-12:
        return {0.0: 1 - epsilon, -1.0: (1 - epsilon) / 2}.get(mean, 1.0) ** clusters
    return float(t.cdf((mean - epsilon) / error, clusters - 1))
