"""Stanford Human Preferences: a post, two comments and ``labels``, 1 if the first one is preferred, else 0.

Source: https://huggingface.co/datasets/stanfordnlp/SHP
"""

from __future__ import annotations

from dataclasses import replace

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, optional, read_id
from gramr2.data.labels import number
from gramr2.data.turns import BadRowError, read_prompt, read_reply


class HumanPreferences(DataSet):
    """``history``, ``human_ref_A``, ``human_ref_B``, ``labels``."""

    columns = "history, human_ref_A, human_ref_B and labels"
    needs = ("history", "human_ref_A", "human_ref_B", "labels")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        first, second = (read_reply(row[key], key) for key in ("human_ref_A", "human_ref_B"))
        label = {1.0: Label.A, 0.0: Label.B}.get(number(row["labels"], "labels"))
        if label is None:
            raise BadRowError("labels must be 1 or 0")
        if isinstance(row, Fields):
            row.use("c_root_id_A", "c_root_id_B")
        pair = comparison_of(row, read_id(row, default_id), read_prompt(row["history"]), first, second)
        return [labelled(row, replace(pair, category=pair.category or optional(row, "domain")), label)]


SHP = HumanPreferences()
