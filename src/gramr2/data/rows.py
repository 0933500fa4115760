"""Read a raw row as comparisons; its format is recognised by its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache

from gramr2 import registry
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.data import Layout
from gramr2.data.fields import Fields, arranged
from gramr2.data.formats.base import DataSet, Envelope, Format, Row, read_annotator, shown_columns
from gramr2.data.labels import UnclearLabelsError
from gramr2.data.turns import BadRowError
from gramr2.errors import DataError

_PLAIN = Layout()


@cache
def formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are tried."""
    return tuple(sorted(registry.instances("formats", Format), key=lambda each: each.place))


@lru_cache(maxsize=1024)
def candidates(columns: frozenset[str]) -> tuple[Format, ...]:
    """The formats that a row with these columns can be of, in the order in which they are tried."""
    return tuple(each for each in formats() if columns.issuperset(each.needs))


@cache
def envelopes() -> tuple[Envelope, ...]:
    """The exports of annotation tools that are opened before a format is looked for."""
    return tuple(registry.instances("formats", Envelope))


def prepared(row: Row, layout: Layout) -> Fields:
    """The columns of a row: out of a tool's envelope, without what is ignored, under the names of gramr2.

    Raises:
        BadRowError: the row does not have what the layout says.
    """
    opened = next((each.open(row) for each in envelopes() if each.recognises(row)), row)
    return Fields(arranged(opened, layout), layout)


def recognised(row: Row, layout: Layout | None = None) -> str | None:
    """The name of the format that ``read_row`` reads a row as, as in docs/data.md; None if there is none."""
    tool = next((each for each in envelopes() if each.recognises(row)), None)
    try:
        fields = prepared(row, layout or _PLAIN)
        found = tool or next((each for each in candidates(fields.present()) if each.recognises(fields)), None)
    except (BadRowError, RecursionError):
        return None
    return type(found).__module__.rpartition(".")[2] if found else None


def read_row(
    row: Mapping[str, object], where: str, *, default_id: str, layout: Layout | None = None
) -> list[LabeledComparison | Comparison]:
    """The comparisons in a row, read by the first format that recognises it (``gramr2.data.formats``).

    ``id``, ``category``, ``source``, ``group``, ``annotator``, ``rationale`` and, beside a ``label``, ``target`` (P(A), P(B),
    P(tie)) are optional in each. A column that is null counts as absent; texts are kept as they are, and text in a column that
    the format does not know is refused.

    Args:
        row: the columns.
        where: the place of the row, for messages.
        default_id: the id of a row that has none.
        layout: which columns are what, and what is ignored; with ``only_unlabeled`` there may be no comparison left.

    Raises:
        DataError: ``where: reason``.
    """
    try:
        fields = prepared(row, layout or _PLAIN)
        for each in candidates(fields.present()):
            if each.recognises(fields):
                fields.forget()
                found = [item for item in each.read(fields, default_id) if _wanted(item, fields.layout)]
                fields.refuse_unused()
                who = read_annotator(fields)
                return [
                    replace(item, annotator=who) if who and isinstance(item, LabeledComparison) else item
                    for item in found
                ]
    except BadRowError as error:
        raise DataError(f"{where}: {error}") from None
    except UnclearLabelsError as error:
        raise UnclearLabelsError(f"{where}: {error}") from None
    except RecursionError:
        raise DataError(f"{where}: is nested too deeply") from None
    common = [each.columns for each in reversed(formats()) if not isinstance(each, DataSet)]
    raise DataError(
        f"{where}: needs {', or '.join(common)}; {shown_columns(fields)}: say which is which with columns, or see the formats "
        "in docs/data.md"
    )


def _wanted(item: LabeledComparison | Comparison, layout: Layout) -> bool:
    return not (layout.only_unlabeled and isinstance(item, LabeledComparison))
