"""Balance of A and B: in which comparisons to exchange the responses so that neither answer is taught more often."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label, LabeledComparison
from gramr2.mentions import has_bare_mentions
from gramr2.randomness import fraction


def is_fixed(item: LabeledComparison) -> bool:
    """Whether an item must stay in its order: its rationale refers to a bare “A” or “B”, which no rule can exchange."""
    return item.rationale is not None and has_bare_mentions(item.rationale)


def balancing_swaps(items: Sequence[LabeledComparison], seed: int) -> list[bool]:
    """For each item whether to exchange its responses, so that A and B are level, or differ by one if their number is odd.

    Which items end up with A is drawn from (seed, id), whatever their label was; ties stay. Fixed items stay too, and may
    leave an imbalance that cannot be removed.
    """
    free = [i for i, item in enumerate(items) if item.label is not Label.TIE and not is_fixed(item)]
    fixed = [item.label for item in items if item.label is not Label.TIE and is_fixed(item)]
    wanted = (len(free) + len(fixed) + 1) // 2 - fixed.count(Label.A)
    drawn = sorted(free, key=lambda i: (fraction(seed, "order", items[i].comparison.id), items[i].comparison.id))
    first, movable = set(drawn[: max(wanted, 0)]), set(free)
    return [i in movable and (item.label is Label.A) != (i in first) for i, item in enumerate(items)]
