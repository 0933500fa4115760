"""Where a judge differs most from people: categories, and the comparisons on which people say otherwise together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gramr2.evaluation.agreement.coefficients import Counted, Resampled, ratio
from gramr2.evaluation.agreement.people import Line
from gramr2.evaluation.agreement.records import Category, Differing, Estimate
from gramr2.evaluation.log import Item, prompt_text
from gramr2.evaluation.metrics import rated

LISTED = 50
"""comparisons that are listed"""
LEVEL = 0.05


def categories_of(items: Sequence[Item], lines: Sequence[Line], drawn: Resampled, seed: int) -> tuple[Category, ...]:
    """Every category beside all others, the one with most differences first; nothing if there is only one.

    Only comparisons count that the judge decided and on which a label has most.
    """
    from scipy.stats import false_discovery_control, fisher_exact  # takes half a second

    differs = [_differs(item, line) for item, line in zip(items, lines, strict=True)]
    names = sorted({item.category or "none" for item, each in zip(items, differs, strict=True) if each is not None})
    if len(names) < 2:
        return ()
    decided = [i for i, each in enumerate(differs) if each is not None]
    whole = np.array([[float(bool(differs[i])), 1.0] for i in decided])
    found: list[tuple[str, Estimate, Estimate]] = []
    values = []
    for name in names:
        chosen = [i for i in decided if (items[i].category or "none") == name]
        part = whole * np.array([(items[i].category or "none") == name for i in decided])[:, None]
        share = rated([bool(differs[i]) for i in chosen], [lines[i].group for i in chosen], seed)
        gap = drawn.estimate(
            Counted(decided, np.concatenate([part, whole - part], axis=1)),
            lambda sums: ratio(sums[:, 0], sums[:, 1]) - ratio(sums[:, 2], sums[:, 3]),
        )
        elsewhere = [i for i in decided if (items[i].category or "none") != name]
        # A gap is no surer than the share in the part that has fewer groups.
        gap = drawn.widened(gap, min(drawn.groups_of(chosen), drawn.groups_of(elsewhere)), -1.0, 1.0)
        (wrong, size), (others, rest) = part.sum(axis=0), (whole - part).sum(axis=0)
        values.append(float(fisher_exact(np.array([[wrong, size - wrong], [others, rest - others]])).pvalue))
        found.append((name, Estimate(len(chosen), *share), replace(gap, n=len(chosen))))
    adjusted = [float(value) for value in false_discovery_control(values)]
    rows = [
        Category(name, share, gap, value, value < LEVEL and gap.low is not None and not gap.low <= 0 <= (gap.high or 0))
        for (name, share, gap), value in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (-(row.differs.value or 0), -row.differs.n, row.name)))


def differing_of(items: Sequence[Item], lines: Sequence[Line]) -> tuple[Differing, ...]:
    """The comparisons on which the judge differs from people.

    First those on which the largest share of the annotators says otherwise, of these those with most annotators, and then those
    of which the judge is surest.
    """
    found = []
    for item, line in zip(items, lines, strict=True):
        if item.label is None or item.label == item.expected:
            continue
        said: list[str] = [*line.labels.values()] or [item.expected]
        against = sum(label != item.label for label in said)
        words = " ".join(prompt_text(item.prompt).split())[:120]
        found.append(
            Differing(item.id, item.category, words, item.expected, item.label, against, len(said), item.confidence)
        )
    found.sort(key=lambda each: (-each.against / each.labels, -each.labels, -(each.confidence or 0), each.id))
    return tuple(found)


def _differs(item: Item, line: Line) -> bool | None:
    """Whether the judge differs from people; None where either has no label of their own."""
    if item.label is None or (len(line.labels) > 1 and line.majority is None):
        return None
    return item.label != item.expected
