"""HelpSteer3: a conversation, two responses and ``overall_preference`` from −3 (the first is much better) to 3; 0 is a tie.

Source: https://huggingface.co/datasets/nvidia/HelpSteer3
"""

from __future__ import annotations

from dataclasses import replace

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, layout_of, optional, read_id
from gramr2.data.labels import better
from gramr2.data.turns import read_answer, read_prompt


class HelpSteer3(DataSet):
    """``context``, ``response1``, ``response2``, ``overall_preference``."""

    columns = "context, response1, response2 and overall_preference"
    needs = ("context", "response1", "response2", "overall_preference")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = read_prompt(row["context"])
        first, second = (read_answer(row[key], key, prompt) for key in ("response1", "response2"))
        if isinstance(row, Fields):
            # What each annotator said; the overall preference is made of it.
            row.use("individual_preference")
        label = better(0, row["overall_preference"], layout_of(row).margin, "overall_preference")
        pair = comparison_of(row, read_id(row, default_id), prompt, first, second)
        pair = replace(pair, category=pair.category or optional(row, "domain"))
        return [LabeledComparison(pair, label or Label.TIE)]


HELPSTEER3 = HelpSteer3()
