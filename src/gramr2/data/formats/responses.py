"""gramr2's own columns: ``prompt`` and ``responses``, of which the first is A, with an optional ``label``.

More than two responses are a set: all pairs of up to six responses, pairs of neighbours of more. ``scores`` (more is better) or
``ranking`` (1 is best) label each pair; a label may also be a list of votes, or shares of A, B and tie.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import (
    Format,
    Row,
    comparison_of,
    labelled,
    layout_of,
    pairs_of,
    read_id,
    read_target,
    read_verdict,
    shown_columns,
)
from gramr2.data.labels import number
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import BadRowError, read_answer

# What gramr2 judge and run folders write beside a comparison.
_WRITTEN = ("votes", "rationale_order", "rationale", "truth", "filter", "reason", "value", "threshold")


class Responses(Format):
    """``prompt``, ``responses``, and ``label`` (A, B or tie) if there are two."""

    columns = "prompt and responses"
    place = 1
    needs = ("responses",)

    def recognises(self, row: Row) -> bool:
        return row.get("responses") is not None

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        if isinstance(row, Fields):
            row.use(*_WRITTEN)
        values = row["responses"]
        if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) < 2:
            raise BadRowError("responses must be a list of two or more texts")
        prompt = find_prompt(row)
        if prompt is None:
            raise BadRowError(f"there is no prompt; {shown_columns(row)}")
        texts = [read_answer(value, f"responses[{i}]", prompt) for i, value in enumerate(values)]
        name = read_id(row, default_id)
        label, target = read_verdict(row.get("label"), layout_of(row))
        if label is not None:
            if len(texts) != 2:
                raise BadRowError(f"a labelled row has exactly two responses, this one has {len(texts)}")
            comparison = comparison_of(row, name, prompt, texts[0], texts[1])
            return [labelled(row, comparison, label, read_target(row.get("target")) or target)]
        return pairs_of(row, name, prompt, texts, _worth(row, len(texts)))


def _worth(row: Row, count: int) -> list[float] | None:
    for name, sign in (("scores", 1), ("ranking", -1)):
        if name in row and row[name] is not None:
            values = row[name]
            if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) != count:
                raise BadRowError(f"{name} must be a list of {count} numbers, one for each response")
            return [sign * number(value, f"{name}[{i}]") for i, value in enumerate(values)]
    return None


RESPONSES = Responses()
