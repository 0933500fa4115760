"""gramr2's own columns: ``prompt`` and ``responses``, of which the first is A, with an optional ``label``.

More than two responses are a set: all pairs of up to six responses, pairs of neighbours of more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.formats.base import (
    Format,
    Row,
    comparison_of,
    optional,
    read_id,
    read_label,
    read_target,
    shown_columns,
)
from gramr2.data.turns import BadRowError, read_prompt, read_text

ALL_PAIRS_UP_TO = 6


class Responses(Format):
    """``prompt``, ``responses``, and ``label`` (A, B or tie) if there are two."""

    columns = "prompt and responses"
    place = 1

    def recognises(self, row: Row) -> bool:
        return row.get("responses") is not None

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        values = row["responses"]
        if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) < 2:
            raise BadRowError("responses must be a list of two or more texts")
        texts = [read_text(value, f"responses[{i}]") for i, value in enumerate(values)]
        if row.get("prompt") is None:
            raise BadRowError(f"there is no prompt; {shown_columns(row)}")
        prompt = read_prompt(row["prompt"])
        name = read_id(row, default_id)
        label = read_label(row.get("label"))
        if label is not None:
            if len(texts) != 2:
                raise BadRowError(f"a labelled row has exactly two responses, this one has {len(texts)}")
            comparison = comparison_of(row, name, prompt, texts[0], texts[1])
            return [LabeledComparison(comparison, label, optional(row, "rationale"), read_target(row.get("target")))]
        if len(texts) == 2:
            return [comparison_of(row, name, prompt, texts[0], texts[1])]
        indices = combinations(range(len(texts)), 2) if len(texts) <= ALL_PAIRS_UP_TO else pairwise(range(len(texts)))
        return [comparison_of(row, f"{name}:{i}-{j}", prompt, texts[i], texts[j], group=name) for i, j in indices]


RESPONSES = Responses()
