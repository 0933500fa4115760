"""Nectar: answers of several models, each with its rank.

Source: https://huggingface.co/datasets/berkeley-nest/Nectar
"""

from __future__ import annotations

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.formats.base import DataSet, Row, pairs_of, read_id
from gramr2.data.labels import number
from gramr2.data.nested import items_of
from gramr2.data.turns import read_dialogue, read_prompt, read_reply


class Nectar(DataSet):
    """``prompt`` and ``answers``, each with ``answer`` and ``rank``."""

    columns = "prompt and answers (answer, rank)"
    needs = ("prompt", "answers")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = row["prompt"]
        turns = read_dialogue(prompt) if isinstance(prompt, str) else read_prompt(prompt)
        texts, worth = [], []
        for name, item in items_of(row["answers"], "answers"):
            texts.append(read_reply(item.get("answer"), f"{name}.answer"))
            worth.append(-number(item.get("rank"), f"{name}.rank"))
            item.refuse_unused(name)
        return pairs_of(row, read_id(row, default_id), turns, texts, worth)


NECTAR = Nectar()
