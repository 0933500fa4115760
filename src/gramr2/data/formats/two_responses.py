"""Two responses in two columns, as spreadsheets and annotation tools have them, beside a ``prompt`` and a ``label``.

The columns are ``response_a`` and ``response_b``, ``answer1`` and ``answer2``, ``output_1`` and ``output_2`` … The label may be
the name of one of them, or its ending: ``response_2`` or 2; a 0 beside these has no meaning, and then 1 has none either.
JudgeBench (``response_A``, ``A>B``) is of this format: https://huggingface.co/datasets/ScalerLab/JudgeBench
"""

from __future__ import annotations

from itertools import product

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.data import label_key
from gramr2.data.formats.base import (
    Format,
    Row,
    comparison_of,
    labelled,
    layout_of,
    read_id,
    read_target,
    read_verdict,
    shown_columns,
)
from gramr2.data.labels import Target, UnclearLabelsError
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import BadRowError, read_answer

_STEMS = ("response", "answer", "output", "completion", "candidate", "text")
_ENDS = (("_a", "_b"), ("_A", "_B"), ("_1", "_2"), ("1", "2"), ("A", "B"), ("_0", "_1"), ("0", "1"))
_PAIRS = tuple((stem + first, stem + second) for stem, (first, second) in product(_STEMS, _ENDS))
_LABELS = ("label", "winner", "preference", "preferred")


class TwoResponses(Format):
    """A prompt, and a column for each response."""

    columns = "prompt, response_a and response_b"
    place = 2

    def recognises(self, row: Row) -> bool:
        return _found(row) is not None

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        names = _found(row) or ("", "")
        prompt = find_prompt(row)
        if prompt is None:
            raise BadRowError(f"there is no prompt; {shown_columns(row)}")
        first, second = (read_answer(row[name], name, prompt) for name in names)
        comparison = comparison_of(row, read_id(row, default_id), prompt, first, second)
        label, target = _verdict(row, names)
        return [labelled(row, comparison, label, read_target(row.get("target")) or target)]


def _found(row: Row) -> tuple[str, str] | None:
    for first, second in _PAIRS:
        # Asking for the content of a column uses it, so a pair of which one is missing is only looked for.
        if first in row and second in row and row.get(first) is not None and row.get(second) is not None:
            return first, second
    return None


def _verdict(row: Row, names: tuple[str, str]) -> tuple[Label | None, Target | None]:
    column = next((each for each in _LABELS if each in row), "label")
    value = row.get(column)
    key = label_key(value) if isinstance(value, str | int | float) else ""
    # A label_map decides first, and knows its keys in the case that the user wrote.
    known = layout_of(row).label_map
    if key and key not in known:
        if names[0].endswith("1") and (key == "0" or (key == "1" and known.get("0") in ("A", "B"))):
            raise UnclearLabelsError(
                f"label {key} where the columns are {names[0]} and {names[1]}: with 0 and 1 in a file, 1 may be either response: "
                "say what each number means with label_map"
            )
        for name, label in zip(names, (Label.A, Label.B), strict=True):
            if key.lower() in (name.lower(), name.lower()[-1]):
                return label, None
    return read_verdict(value, layout_of(row))


TWO_RESPONSES = TwoResponses()
