"""PKU-SafeRLHF: two responses and which is better (``better_response_id``, 0 or 1); which is safer is not read.

Source: https://huggingface.co/datasets/PKU-Alignment/PKU-SafeRLHF
"""

from __future__ import annotations

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, read_id
from gramr2.data.labels import number
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import BadRowError, read_reply


class SafeRLHF(DataSet):
    """``prompt``, ``response_0``, ``response_1``, ``better_response_id``."""

    columns = "prompt, response_0, response_1 and better_response_id"
    needs = ("prompt", "response_0", "response_1", "better_response_id")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = find_prompt(row) or ()
        first, second = (read_reply(row[key], key) for key in ("response_0", "response_1"))
        if isinstance(row, Fields):
            row.use("response_0_sha256", "response_1_sha256")
        label = {0.0: Label.A, 1.0: Label.B}.get(number(row["better_response_id"], "better_response_id"))
        if label is None:
            raise BadRowError("better_response_id must be 0 or 1")
        return [labelled(row, comparison_of(row, read_id(row, default_id), prompt, first, second), label)]


PKU = SafeRLHF()
