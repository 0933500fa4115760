"""From data and opinions to a session: what ``gramr2 ui --label`` opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.rows import read_row
from gramr2.errors import DataError
from gramr2.reporting.examples import example
from gramr2.reporting.run import RunView
from gramr2.web.labelling.opinions import Opinion, opinion_of
from gramr2.web.labelling.order import sequence
from gramr2.web.labelling.session import Session
from gramr2.web.labelling.store import LabelStore


def session_of(
    items: Sequence[LabeledComparison | Comparison],
    store: LabelStore,
    opinions: Mapping[str, Opinion],
    *,
    judge: str | None,
    seed: int,
    share: float,
    show: bool,
) -> Session:
    """A session over comparisons; their own labels are compared with afterwards and not shown.

    Args:
        items: labelled or not.
        store: where answers go.
        opinions: a judge's, by id; empty without one.
        judge: its name.
        seed, share: see ``gramr2.web.labelling.order.sequence``.
        show: see ``Session``.

    Raises:
        DataError: no opinion is of any of the comparisons, or see ``Session``.
    """
    comparisons = [item.comparison if isinstance(item, LabeledComparison) else item for item in items]
    if opinions and not any(each.id in opinions for each in comparisons):
        raise DataError(
            f"the decisions of {judge} are of other comparisons: none of their ids is in the data, whose first is "
            f"{comparisons[0].id!r}"
        )
    known: dict[str, Label] = {item.comparison.id: item.label for item in items if isinstance(item, LabeledComparison)}
    ordered = sequence(comparisons, opinions, seed, share)
    return Session(ordered, store, seed=seed, judge=judge, known=known, show=show)


def of_run(view: RunView) -> tuple[list[Comparison], dict[str, Opinion]]:
    """What the last round of a run has judged, in the stored order, with what its judge thought of it.

    Raises:
        DataError: no round has labelled the pool yet.
    """
    rounds = [each for each in view.rounds if each.kept or each.dropped]
    if not rounds:
        raise DataError(f"{view.path}: no round has labelled the pool yet, so there is nothing to label")
    last = rounds[-1]
    comparisons: list[Comparison] = []
    opinions: dict[str, Opinion] = {}
    for row, kept in [*((row, True) for row in last.kept), *((row, False) for row in last.dropped)]:
        each = example(row, kept)
        texts = {key: row[key] for key in ("id", "prompt", "category", "source", "group") if key in row}
        (found,) = read_row(texts | {"responses": [*each.responses]}, f"{view.path}: {each.id}", default_id=each.id)
        comparisons.append(found.comparison if isinstance(found, LabeledComparison) else found)
        # Probabilities are of the stored order even in a row that was learnt swapped.
        opinions[each.id] = opinion_of(
            {
                "id": each.id,
                "label": each.label,
                "probabilities": row.get("probabilities"),
                "order_flip": each.order_flip,
                "rationale": each.rationale,
                "rationale_order": "ba" if each.rationale_swapped else "ab",
            }
        )
    return comparisons, opinions
