"""TRL's preference columns: ``chosen`` and ``rejected``, strings or messages; the prompt may be implicit in their beginning.

A hash of the id decides whether chosen comes first or second.
"""

from __future__ import annotations

import hashlib

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.formats.base import Format, Row, comparison_of, optional, read_id, read_target
from gramr2.data.turns import implicit_prompt, read_answer, read_prompt


class Preferences(Format):
    """``prompt``, which may be implicit, ``chosen``, ``rejected``."""

    columns = "chosen and rejected"
    place = 0

    def recognises(self, row: Row) -> bool:
        return row.get("chosen") is not None and row.get("rejected") is not None

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        name = read_id(row, default_id)
        if row.get("prompt") is None:
            prompt, chosen, rejected = implicit_prompt(row["chosen"], row["rejected"])
        else:
            prompt = read_prompt(row["prompt"])
            chosen, rejected = (read_answer(row[key], key, prompt) for key in ("chosen", "rejected"))
        item = LabeledComparison(
            comparison_of(row, name, prompt, chosen, rejected),
            Label.A,
            optional(row, "rationale"),
            read_target(row.get("target")),
        )
        first = hashlib.blake2b(name.encode("utf-8", "surrogatepass")).digest()[0] < 128
        return [item if first else item.swap()]


PREFERENCES = Preferences()
