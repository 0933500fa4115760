"""Rows of one comparison by several annotators as one comparison with several labels, so that a judge is asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gramr2.comparison import Label, LabeledComparison
from gramr2.data.annotators import Aggregate, merged, rows_by_comparison, turned

Labels = Mapping[str, Label]
"""what each annotator says, for the order in which the comparison is stored"""


@dataclass(frozen=True, slots=True)
class Annotated:
    """Comparisons with the labels of their annotators.

    Args:
        items: one for each comparison of which a row names its annotator, with the majority's label (a tie where none has most)
            and the id of the first such row; other rows as they are.
        labels: by the id of an item, what each annotator says of it.
        repeats: rows left out since their annotator has labelled the comparison before.
        unnamed: rows left out since they name nobody and others of the comparison do.
        nameless: comparisons with several rows of which none names anybody: each row is an item of its own.
    """

    items: tuple[LabeledComparison, ...]
    labels: Mapping[str, Labels] = field(default_factory=dict)
    repeats: int = 0
    unnamed: int = 0
    nameless: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and what cannot be known, a sentence each."""
        found = []
        if self.nameless:
            found.append(
                f"{self.nameless} comparisons have several rows and no annotator, so that each row counts by itself: say who "
                "gave each label in a column annotator (--columns annotator=NAME)"
            )
        if self.unnamed:
            found.append(
                f"{self.unnamed} rows without an annotator are left out, since others of their comparison have one"
            )
        if self.repeats:
            found.append(f"{self.repeats} rows are left out: their annotator has labelled the comparison before")
        return tuple(found)


def annotated(rows: Sequence[LabeledComparison]) -> Annotated:
    """The comparisons in rows, each once where annotators are named."""
    found: dict[str, LabeledComparison] = {}
    labels: dict[str, Labels] = {}
    instead: dict[str, str] = {}
    repeats = unnamed = nameless = 0
    for group in rows_by_comparison(rows):
        first = {row.annotator: row for row in reversed(group) if row.annotator is not None}
        if not first:
            nameless += len(group) > 1
            continue
        kept = [row for row in group if row.annotator is not None and row is first[row.annotator]]
        missing = sum(row.annotator is None for row in group)
        unnamed, repeats = unnamed + missing, repeats + len(group) - missing - len(kept)
        (one,) = merged(kept, Aggregate.MAJORITY)
        found[one.comparison.id] = one
        labels[one.comparison.id] = {str(row.annotator): row.label for row in turned(kept)}
        instead |= {row.comparison.id: one.comparison.id for row in group}
    items: dict[str, LabeledComparison] = {}
    for row in rows:
        name = instead.get(row.comparison.id, row.comparison.id)
        items.setdefault(name, found.get(name, row))
    return Annotated(tuple(items.values()), labels, repeats, unnamed, nameless)
