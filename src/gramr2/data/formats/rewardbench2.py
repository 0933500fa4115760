"""RewardBench 2: a list of right and a list of wrong answers, each right one against each wrong one.

Source: https://huggingface.co/datasets/allenai/reward-bench-2
"""

from __future__ import annotations

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.formats.base import BadRowError, DataSet, Row, preferred, read_id
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import read_reply


class RewardBench2(DataSet):
    """``prompt``, and texts in the lists ``chosen`` and ``rejected``."""

    columns = "prompt, and lists of texts chosen and rejected"
    needs = ("chosen", "rejected")

    def recognises(self, row: Row) -> bool:
        return all(_texts(row.get(name)) for name in self.needs)

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = find_prompt(row)
        if prompt is None:
            raise BadRowError("there is no prompt beside the lists chosen and rejected")
        name = read_id(row, default_id)
        good, bad = ([read_reply(each, key) for each in _texts(row[key])] for key in self.needs)
        if len(good) == len(bad) == 1:
            return [preferred(row, name, prompt, good[0], bad[0])]
        pairs = ((i, j) for i in range(len(good)) for j in range(len(bad)))
        return [preferred(row, f"{name}:{i}-{j}", prompt, good[i], bad[j], name) for i, j in pairs]


def _texts(value: object) -> list[str]:
    """The texts in a list that has nothing else; none of anything else."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return []
    return list(value)


REWARDBENCH2 = RewardBench2()
