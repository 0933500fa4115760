"""What a format is: it recognises a raw row by its columns and turns it into comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.data.turns import BadRowError, read_text, shown

Row = Mapping[str, object]


class Format:
    """A format in which files write comparisons.

    ``columns`` says which columns it needs, for messages and the documentation. Formats are tried in the order of ``place``,
    and the first that recognises a row reads it.
    """

    columns: str
    place: int = 100

    def recognises(self, row: Row) -> bool:
        """Whether the row is of this format. A column that is null counts as absent."""
        raise NotImplementedError

    def read(self, row: Row, default_id: str) -> Sequence[LabeledComparison | Comparison]:
        """The comparisons in a row.

        Raises:
            BadRowError: the row cannot be used; the message says why.
        """
        raise NotImplementedError


def shown_columns(row: Row) -> str:
    """The columns that a row has, for a message about those that it lacks."""
    names = [str(name) for name, value in row.items() if value is not None]
    return f"the columns here are {shown_names(names) or 'none'}"


def shown_names(names: Sequence[str]) -> str:
    """Names from the user's data for a message, never long."""
    return ", ".join(names)[:200].encode("utf-8", "backslashreplace").decode("utf-8")


def comparison_of(
    row: Row, name: str, prompt: tuple[Message, ...], first: str, second: str, group: str | None = None
) -> Comparison:
    """A comparison with the row's category, source and group."""
    return Comparison(
        id=name,
        prompt=prompt,
        responses=(first, second),
        category=optional(row, "category"),
        source=optional(row, "source"),
        group=optional(row, "group") or group,
    )


def optional(row: Row, key: str) -> str | None:
    """A text that may be missing; null and empty count as missing."""
    value = row.get(key)
    return None if value is None or value == "" else read_text(value, key)


def read_id(row: Row, default_id: str) -> str:
    """The row's own id, a number as text, or the default."""
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError as error:  # Python refuses to write numbers of more than 4300 digits
            raise BadRowError("id is a number with too many digits") from error
    return default_id if value is None else read_text(value, "id")


def read_target(value: object) -> tuple[float, float, float] | None:
    """How certain a label is: P(A), P(B), P(tie)."""
    # Some files have texts in a column of this name.
    if value is None or isinstance(value, str):
        return None
    told = shown(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        shares = [float(v) for v in value if isinstance(v, int | float) and 0 <= v <= 1]
        if len(shares) == len(value) == 3 and abs(sum(shares) - 1) < 1e-3:
            return shares[0], shares[1], shares[2]
        told = f"[{', '.join(map(shown, value[:4]))}]"
    raise BadRowError(f"target {told} is not three probabilities, of A, B and tie, that sum to 1")


def read_label(value: object) -> Label | None:
    """A, B or tie, in any case; None where there is no label."""
    if value is None:
        return None
    if isinstance(value, str):
        known = {"a": Label.A, "b": Label.B, "tie": Label.TIE}
        if value.strip().lower() in known:
            return known[value.strip().lower()]
    raise BadRowError(f"label {shown(value)} is not A, B or tie")
