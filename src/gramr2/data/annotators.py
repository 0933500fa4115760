"""Several labels of one comparison: how far they agree, and one label made of them.

Rows are of one comparison if prompt and responses are the same texts; the responses may be in either order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.comparison import Label, LabeledComparison
from gramr2.data.balance import is_fixed
from gramr2.data.dawid_skene import most_probable
from gramr2.errors import DataError
from gramr2.hashing import digest_of


class Aggregate(StrEnum):
    """What becomes of several labels of one comparison."""

    NONE = "none"
    """every row is a comparison of its own"""
    MAJORITY = "majority"
    """one row with the label that most have; a tie where no label has most"""
    SOFT = "soft"
    """as majority, and the shares of the labels are what ``training.verdict.soft`` trains towards"""
    DAWID_SKENE = "dawid_skene"
    """one row with the most probable label, given how each annotator labels (see ``gramr2.data.dawid_skene``)"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the labels of a data set agree.

    ``repeated`` comparisons have several rows, ``conflicting`` of them different labels. ``alpha`` is Krippendorff's α of the
    repeated ones, nominal, with as many annotators as rows: 1 is full agreement, 0 is chance; None where nothing is repeated or
    all labels are ties. ``cohen`` is Cohen's κ, where the repeated rows are by the same two annotators; ``fleiss`` is Fleiss' κ,
    where every repeated comparison has as many rows. Every comparison counts in both orders, so that none of them depends on
    which response is stored first.
    """

    repeated: int
    conflicting: int
    alpha: float | None
    cohen: float | None = None
    fleiss: float | None = None


def agreement(items: Sequence[LabeledComparison]) -> Agreement:
    """The agreement of the rows that are of one comparison."""
    repeated = [group for group in rows_by_comparison(items) if len(group) > 1]
    counts = [Counter(row.label for row in turned(group)) for group in repeated]
    conflicting = sum(len(each) > 1 for each in counts)
    if not any(label is not Label.TIE for each in counts for label in each):
        return Agreement(len(repeated), conflicting, None)
    from krippendorff import alpha as alpha_of

    table = [[each[label] for label in order] for each in counts for order in (Label, [*map(Label.swap, Label)])]
    alpha = float(alpha_of(value_counts=table, level_of_measurement="nominal"))
    return Agreement(len(repeated), conflicting, alpha, _cohen(repeated), _fleiss(table))


def _cohen(repeated: Sequence[Sequence[LabeledComparison]]) -> float | None:
    """Cohen's κ of the only two annotators, over the comparisons that each has labelled once."""
    names = {row.annotator for group in repeated for row in group}
    if len(names) != 2 or None in names:
        return None
    first = min(name for name in names if name)
    pairs = [turned(group) for group in repeated if len({row.annotator for row in group}) == len(group) == 2]
    if not pairs:
        return None
    ordered = [sorted(pair, key=lambda row: row.annotator != first) for pair in pairs]
    return cohen([(one.label, other.label) for one, other in ordered])


def cohen(pairs: Sequence[tuple[Label, Label]]) -> float | None:
    """Cohen's κ of two who label the same comparisons, each counted in both orders; None without any, or if all are ties."""
    if all(label is Label.TIE for pair in pairs for label in pair):
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second

    both = [pair for one, other in pairs for pair in ((one, other), (one.swap(), other.swap()))]
    return float(cohen_kappa_score(*zip(*both, strict=True), labels=[*Label]))


def _fleiss(table: Sequence[Sequence[int]]) -> float | None:
    """Fleiss' κ (1971) of counts of labels, a row for each comparison; None where the rows have different sums."""
    each = sum(table[0])
    if any(sum(row) != each for row in table):
        return None
    total = each * len(table)
    chance = sum((sum(column) / total) ** 2 for column in zip(*table, strict=True))
    agreed = sum(count * (count - 1) for row in table for count in row) / (total * (each - 1))
    return float((agreed - chance) / (1 - chance))


def conflicting(items: Sequence[LabeledComparison]) -> set[str]:
    """Ids of the rows whose comparison has a row with another label."""
    return {
        item.comparison.id
        for group in rows_by_comparison(items)
        if len({row.label for row in turned(group)}) > 1
        for item in group
    }


def merged(items: Sequence[LabeledComparison], how: Aggregate) -> tuple[LabeledComparison, ...]:
    """One row for each comparison, in the place, order and id of its first one.

    Its rationale is the first that came with the label it now has, but for one whose bare “A” and “B” (``is_fixed``) are those of
    the other order; a comparison with one row stays what it is.

    Raises:
        DataError: a row of several does not say whose it is, and ``how`` has to know.
        MissingDependencyError: ``how`` needs a package that is not installed.
    """
    if how is Aggregate.NONE:
        return tuple(items)
    if how is Aggregate.DAWID_SKENE:
        return _most_probable(items)
    return tuple(_one(group, how) if len(group) > 1 else group[0] for group in rows_by_comparison(items))


def _one(group: Sequence[LabeledComparison], how: Aggregate) -> LabeledComparison:
    rows = turned(group)
    counts = Counter(row.label for row in rows)
    (label, most), *rest = counts.most_common()
    if rest and rest[0][1] == most:
        label = Label.TIE
    shares = tuple(counts[each] / len(group) for each in (Label.A, Label.B, Label.TIE))
    target = (shares[0], shares[1], shares[2]) if how is Aggregate.SOFT else None
    return replace(_with(group, rows, label), target=target)


def _most_probable(items: Sequence[LabeledComparison]) -> tuple[LabeledComparison, ...]:
    groups = rows_by_comparison(items)
    repeated = [group for group in groups if len(group) > 1]
    nameless = [row.comparison.id for group in repeated for row in group if row.annotator is None]
    if nameless:
        raise DataError(
            f"data.aggregate: dawid_skene needs to know who gave each label, and {len(nameless)} rows do not say so (the first: "
            f"{nameless[0]!r}): name the column with columns: {{annotator: …}}, or take majority"
        )
    shown = [turned(group) for group in repeated]
    answers = [[(str(row.annotator), row.label) for row in rows] for rows in shown]
    labels = iter(most_probable(answers) if answers else ())
    settled = {id(group): _with(group, rows, label) for group, rows, label in zip(repeated, shown, labels, strict=True)}
    return tuple(settled.get(id(group), group[0]) for group in groups)


def _with(group: Sequence[LabeledComparison], rows: Sequence[LabeledComparison], label: Label) -> LabeledComparison:
    """The first row with a label of all of them, and the first rationale that came with that label and speaks of its order."""
    told = (row for item, row in zip(group, rows, strict=True) if row is item or not is_fixed(item))
    rationale = next((row.rationale for row in told if row.label is label and row.rationale), None)
    return replace(group[0], label=label, rationale=rationale, target=None, annotator=None)


def rows_by_comparison(items: Sequence[LabeledComparison]) -> list[list[LabeledComparison]]:
    """Rows of one comparison together, in the order in which each first occurs."""
    found: dict[str, list[LabeledComparison]] = {}
    for item in items:
        turns = [[turn.role, turn.content] for turn in item.comparison.prompt]
        found.setdefault(digest_of([turns, sorted(item.comparison.responses)]), []).append(item)
    return [*found.values()]


def turned(group: Sequence[LabeledComparison]) -> list[LabeledComparison]:
    """The rows with their responses, and so their labels, in the order of the first row."""
    first = group[0].comparison.responses
    return [item if item.comparison.responses == first else item.swap() for item in group]
