"""Several labels of one comparison: how far they agree, and one label made of them.

Rows are of one comparison if prompt and responses are the same texts; the responses may be in either order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.comparison import Label, LabeledComparison
from gramr2.hashing import digest_of


class Aggregate(StrEnum):
    """What becomes of several labels of one comparison."""

    NONE = "none"
    """every row is a comparison of its own"""
    MAJORITY = "majority"
    """one row with the label that most have; a tie where no label has most"""
    SOFT = "soft"
    """as majority, and the shares of the labels are what ``training.verdict.soft`` trains towards"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the labels of a data set agree.

    ``repeated`` comparisons have several rows, ``conflicting`` of them different labels. ``alpha`` is Krippendorff's α of the
    repeated ones, nominal, with as many annotators as rows: 1 is full agreement, 0 is chance; None where nothing is repeated or
    all labels are ties. Every comparison counts in both orders, so that α does not depend on which response is stored first.
    """

    repeated: int
    conflicting: int
    alpha: float | None


def agreement(items: Sequence[LabeledComparison]) -> Agreement:
    """The agreement of the rows that are of one comparison."""
    repeated = [group for group in _groups(items) if len(group) > 1]
    counts = [Counter(row.label for row in _turned(group)) for group in repeated]
    conflicting = sum(len(each) > 1 for each in counts)
    alpha = None
    if any(label is not Label.TIE for each in counts for label in each):
        from krippendorff import alpha as alpha_of

        table = [[each[label] for label in order] for each in counts for order in (Label, map(Label.swap, Label))]
        alpha = float(alpha_of(value_counts=table, level_of_measurement="nominal"))
    return Agreement(len(repeated), conflicting, alpha)


def conflicting(items: Sequence[LabeledComparison]) -> set[str]:
    """Ids of the rows whose comparison has a row with another label."""
    return {
        item.comparison.id
        for group in _groups(items)
        if len({row.label for row in _turned(group)}) > 1
        for item in group
    }


def merged(items: Sequence[LabeledComparison], how: Aggregate) -> tuple[LabeledComparison, ...]:
    """One row for each comparison, in the place, order and id of its first one.

    Its rationale is the first that came with the label it now has; a comparison with one row stays what it is.
    """
    if how is Aggregate.NONE:
        return tuple(items)
    return tuple(_one(group, how) if len(group) > 1 else group[0] for group in _groups(items))


def _one(group: Sequence[LabeledComparison], how: Aggregate) -> LabeledComparison:
    turned = _turned(group)
    counts = Counter(row.label for row in turned)
    (label, most), *rest = counts.most_common()
    if rest and rest[0][1] == most:
        label = Label.TIE
    rationale = next((row.rationale for row in turned if row.label is label and row.rationale), None)
    shares = tuple(counts[each] / len(group) for each in (Label.A, Label.B, Label.TIE))
    target = (shares[0], shares[1], shares[2]) if how is Aggregate.SOFT else None
    return replace(group[0], label=label, rationale=rationale, target=target)


def _groups(items: Sequence[LabeledComparison]) -> list[list[LabeledComparison]]:
    """Rows of one comparison together, in the order in which each first occurs."""
    found: dict[str, list[LabeledComparison]] = {}
    for item in items:
        turns = [[turn.role, turn.content] for turn in item.comparison.prompt]
        found.setdefault(digest_of([turns, sorted(item.comparison.responses)]), []).append(item)
    return [*found.values()]


def _turned(group: Sequence[LabeledComparison]) -> list[LabeledComparison]:
    """The rows with their responses, and so their labels, in the order of the first row."""
    first = group[0].comparison.responses
    return [item if item.comparison.responses == first else item.swap() for item in group]
