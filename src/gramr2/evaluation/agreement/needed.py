"""How many more labels settle whether a judge is above a bar, category by category.

The formula is ``gramr2.evaluation.power.labels_for``. It assumes that the accuracy is what it seems so far, that new comparisons
are drawn as the old ones were, and as many of a prompt. The correlation within prompts is estimated over all comparisons, since
one category has too few; for a category, after its own mean is taken away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from gramr2.evaluation.agreement.people import Line
from gramr2.evaluation.agreement.records import Estimate, Needed
from gramr2.evaluation.log import Item
from gramr2.evaluation.metrics import rated
from gramr2.evaluation.power import design_effect, intraclass, labels_for

BAR = 0.5
ALL = "all"


def needed_of(items: Sequence[Item], lines: Sequence[Line], bar: float, seed: int) -> tuple[Needed, ...]:
    """A row for every category, if there are several, and one for all; a category in which nothing was decided has none."""
    decided = [(item, line.group) for item, line in zip(items, lines, strict=True) if item.right is not None]
    parts: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for item, group in decided:
        parts[item.category or "none"].append((bool(item.right), group))
    means = {name: fmean(right for right, _ in part) for name, part in parts.items()}
    groups = [group for _, group in decided]
    right = [bool(item.right) for item, _ in decided]
    alike = intraclass([float(each) for each in right], groups)
    within = intraclass(
        [each - means[item.category or "none"] for each, (item, _) in zip(right, decided, strict=True)], groups
    )
    rows = [_row(name, parts[name], within, bar, seed) for name in sorted(parts)] if len(parts) > 1 else []
    whole = [_row(ALL, [*zip(right, groups, strict=True)], alike, bar, seed)] if decided else []
    return (*rows, *whole)


def _row(name: str, part: Sequence[tuple[bool, str]], alike: float, bar: float, seed: int) -> Needed:
    groups = [group for _, group in part]
    found = Estimate(len(part), *rated([right for right, _ in part], groups, seed))
    assert found.value is not None and found.low is not None and found.high is not None
    design = design_effect(alike, groups)
    needed = labels_for(found.value, bar, design)
    settled = not found.low <= bar <= found.high
    farthest = max((found.low, found.high), key=lambda end: abs(end - bar))
    more = 0 if settled else None if needed is None else max(1, needed - len(part))
    return Needed(name, found, design, settled, needed, more, labels_for(farthest, bar, design))
