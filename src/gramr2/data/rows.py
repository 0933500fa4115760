"""Read a raw row as comparisons; its format is recognised by its columns."""

from __future__ import annotations

from functools import cache

from gramr2 import registry
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.formats.base import Format, Row, shown_columns
from gramr2.data.turns import BadRowError
from gramr2.errors import DataError


@cache
def formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are tried."""
    return tuple(sorted(registry.instances("formats", Format), key=lambda each: each.place))


def read_row(row: Row, where: str, *, default_id: str) -> list[LabeledComparison | Comparison]:
    """The comparisons in a row, read by the first format that recognises it (``gramr2.data.formats``).

    ``id``, ``category``, ``source``, ``group``, ``rationale`` and, beside a ``label``, ``target`` (P(A), P(B), P(tie)) are
    optional in each. A column that is null counts as absent; texts are kept as they are.

    Raises:
        DataError: ``where: reason``.
    """
    for each in formats():
        if each.recognises(row):
            try:
                return list(each.read(row, default_id))
            except BadRowError as error:
                raise DataError(f"{where}: {error}") from None
    wanted = ", or ".join(each.columns for each in reversed(formats()))
    raise DataError(f"{where}: needs {wanted}; {shown_columns(row)}")
