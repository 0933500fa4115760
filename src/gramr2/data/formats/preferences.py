"""TRL's preference columns: ``chosen`` and ``rejected``, strings or messages; the prompt may be implicit in their beginning.

The prompt may also be a ``question``, an ``instruction`` with its ``input`` (Alpaca), or ``conversations`` (ShareGPT), and a
``system`` column stands before it. Source: https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.formats.base import Format, Row, preferred, read_id
from gramr2.data.prompts import find_prompt, with_system
from gramr2.data.turns import implicit_prompt, read_answer


class Preferences(Format):
    """``prompt``, which may be implicit, ``chosen``, ``rejected``."""

    columns = "chosen and rejected"
    place = 0
    needs = ("chosen", "rejected")

    def recognises(self, row: Row) -> bool:
        return row.get("chosen") is not None and row.get("rejected") is not None

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        # UltraFeedback binarized repeats the chosen conversation in a third column.
        repeated = "messages" in row and row["messages"] in (row["chosen"], row["rejected"])
        prompt = find_prompt(row, ("messages",) if repeated else ())
        if prompt is None:
            prompt, chosen, rejected = implicit_prompt(row["chosen"], row["rejected"])
            prompt = with_system(row, prompt)
        else:
            chosen, rejected = (read_answer(row[key], key, prompt) for key in ("chosen", "rejected"))
        return [preferred(row, read_id(row, default_id), prompt, chosen, rejected)]


PREFERENCES = Preferences()
