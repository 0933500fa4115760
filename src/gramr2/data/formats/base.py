"""What a format is: it recognises a raw row by its columns and turns it into comparisons."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.data import Layout
from gramr2.data.fields import Fields
from gramr2.data.labels import Said, Target, better, read_label, read_target, read_verdict
from gramr2.data.turns import BadRowError, read_text
from gramr2.mentions import turned
from gramr2.messages import shown_names

__all__ = [
    "BadRowError",
    "DataSet",
    "Envelope",
    "Format",
    "Row",
    "comparison_of",
    "labelled",
    "layout_of",
    "optional",
    "pairs_of",
    "preferred",
    "read_annotator",
    "read_id",
    "read_label",
    "read_target",
    "read_verdict",
    "shown_columns",
    "shown_names",
]

Row = Mapping[str, object]
"""a row; what ``read`` is given remembers which columns were asked for, and text in the others is refused"""

ALL_PAIRS_UP_TO = 6


class Format:
    """A format in which files write comparisons.

    ``columns`` says which columns it needs, for messages and the documentation. Formats are tried in the order of ``place``,
    and the first that recognises a row reads it.
    """

    columns: str
    place: int = 100
    needs: tuple[str, ...] = ()
    """columns without which a row is never of this format, so that ``recognises`` is not asked"""

    def recognises(self, row: Row) -> bool:
        """Whether the row is of this format. A column that is null counts as absent."""
        raise NotImplementedError

    def read(self, row: Row, default_id: str) -> Sequence[LabeledComparison | Comparison]:
        """The comparisons in a row.

        Raises:
            BadRowError: the row cannot be used; the message says why.
        """
        raise NotImplementedError


class DataSet(Format):
    """The format of one published data set or tool: it is tried before those that are recognised by common columns.

    ``needs`` are the columns by which it is recognised.
    """

    place = -1

    def recognises(self, row: Row) -> bool:
        return all(row.get(name) is not None for name in self.needs)


class Envelope:
    """The export of an annotation tool, which wraps the columns of a row."""

    columns: str

    def recognises(self, row: Row) -> bool:
        """Whether the row was written by this tool."""
        raise NotImplementedError

    def open(self, row: Row) -> Row:
        """The row in it, with the annotators' votes as a list under ``label``, and under ``rationale`` what they ``Said``.

        Raises:
            BadRowError: the row cannot be used.
        """
        raise NotImplementedError


def shown_columns(row: Row) -> str:
    """The columns that a row has, for a message about those that it lacks."""
    names = [str(name) for name, value in row.items() if value is not None]
    return f"the columns here are {shown_names(names) or 'none'}"


def layout_of(row: Row) -> Layout:
    """What the user said of the rows of this source."""
    return row.layout if isinstance(row, Fields) else Layout()


def comparison_of(
    row: Row, name: str, prompt: tuple[Message, ...], first: str, second: str, group: str | None = None
) -> Comparison:
    """A comparison with the row's category (or ``subset``), source and group."""
    source = row.get("source")
    listed = isinstance(source, list) and all(isinstance(each, str) for each in source)
    return Comparison(
        id=name,
        prompt=prompt,
        responses=(first, second),
        category=optional(row, "category") or optional(row, "subset"),
        source=", ".join(source) or None if listed else optional(row, "source"),  # type: ignore[arg-type]
        group=_name(row, "group") or group,
    )


def labelled(
    row: Row, comparison: Comparison, label: Label | None, target: Target | None = None
) -> LabeledComparison | Comparison:
    """The comparison with its label and the row's rationale; without a label, as it is."""
    rationale = _rationale(row, label)
    return comparison if label is None else LabeledComparison(comparison, label, rationale, target)


def _rationale(row: Row, label: Label | None) -> str | None:
    """The row's rationale: where several annotators voted, the first of one who voted for the label that it has."""
    value = row.get("rationale")
    if not (isinstance(value, list) and all(isinstance(each, Said) for each in value)):
        return optional(row, "rationale")
    layout = layout_of(row)
    texts = (each.text for each in value if each.text and label is not None and each.supports(label, layout))
    return next((read_text(each, "rationale") for each in texts), None)


def preferred(
    row: Row, name: str, prompt: tuple[Message, ...], chosen: str, rejected: str, group: str | None = None
) -> LabeledComparison:
    """Chosen against rejected; a hash of the id decides which comes first. A rationale that cannot be turned is then left out."""
    item = LabeledComparison(
        comparison_of(row, name, prompt, chosen, rejected, group),
        Label.A,
        optional(row, "rationale"),
        read_target(row.get("target")),
    )
    return item if _stays(name) else replace(item.swap(), rationale=turned(item.rationale))


def _stays(name: str) -> bool:
    """Whether the better of two responses comes first, by a hash of the id."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass")).digest()[0] < 128


def pairs_of(
    row: Row, name: str, prompt: tuple[Message, ...], texts: Sequence[str], worth: Sequence[object] | None = None
) -> list[LabeledComparison | Comparison]:
    """The pairs of a set of responses: all of up to six, of more the neighbours in the order they have, or in that of worth.

    Neighbours by worth have their places from a hash of the id, as in ``preferred``: else the first were always the better one.

    Args:
        row: for category, source and group.
        name: the id of the set, and of its pair if there is one.
        prompt: what was asked.
        texts: the responses.
        worth: how good each is, more is better; a pair within the layout's margin is a tie, one without a number has no label.
    """
    margin = layout_of(row).margin
    places = range(len(texts))
    if len(texts) <= ALL_PAIRS_UP_TO:
        pairs = list(combinations(places, 2))
    else:
        known = worth is not None and all(isinstance(each, int | float) for each in worth)
        if worth is not None and known:
            ordered = pairwise(sorted(places, key=lambda i: -float(str(worth[i]))))
            pairs = [(i, j) if _stays(f"{name}:{i}-{j}") else (j, i) for i, j in ordered]
        else:
            pairs = list(pairwise(places))
    found: list[LabeledComparison | Comparison] = []
    for i, j in pairs:
        whole = len(texts) == 2
        pair = comparison_of(
            row, name if whole else f"{name}:{i}-{j}", prompt, texts[i], texts[j], None if whole else name
        )
        label = None if worth is None else better(worth[i], worth[j], margin, "a score")
        found.append(
            pair if label is None else LabeledComparison(pair, label, optional(row, "rationale") if whole else None)
        )
    return found


def optional(row: Row, key: str) -> str | None:
    """A text that may be missing; null and empty count as missing."""
    value = row.get(key)
    return None if value is None or value == "" else read_text(value, key)


def read_id(row: Row, default_id: str) -> str:
    """The row's own id, a number as text, or the default."""
    return _name(row, "id") or default_id


def read_annotator(row: Row) -> str | None:
    """Who gave the label, if the row says so in a word or a number; some files have more under this name."""
    try:
        return _name(row, "annotator")
    except BadRowError:
        return None


def _name(row: Row, key: str) -> str | None:
    """A text or a whole number that names something; pandas writes 1.0 where another row has none."""
    value = row.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError as error:  # Python refuses to write numbers of more than 4300 digits
            raise BadRowError(f"{key} is a number with too many digits") from error
    return None if value is None or value == "" else read_text(value, key)
