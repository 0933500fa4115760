"""UltraFeedback: completions of several models, each with a score for all aspects together.

Source: https://huggingface.co/datasets/openbmb/UltraFeedback
"""

from __future__ import annotations

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, pairs_of, read_id
from gramr2.data.labels import number
from gramr2.data.nested import items_of
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import read_reply


class UltraFeedback(DataSet):
    """``instruction`` and ``completions``, each with ``response`` and ``overall_score``."""

    columns = "instruction and completions (response, overall_score)"
    needs = ("instruction", "completions")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        texts, worth = [], []
        for name, item in items_of(row["completions"], "completions"):
            texts.append(read_reply(item.get("response"), f"{name}.response"))
            worth.append(number(item.get("overall_score"), f"{name}.overall_score"))
            # What the model was told to be like, and what the annotating model wrote.
            item.use("custom_system_prompt", "principle", "critique", "annotations")
            item.refuse_unused(name)
        if isinstance(row, Fields):
            row.use("correct_answers", "incorrect_answers")
        return pairs_of(row, read_id(row, default_id), find_prompt(row) or (), texts, worth)


ULTRAFEEDBACK = UltraFeedback()
