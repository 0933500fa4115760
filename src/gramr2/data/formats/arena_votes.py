"""Arena preferences as Kaggle has them: prompts and answers as JSON lists of turns, and a column for each outcome.

Source: https://huggingface.co/datasets/lmarena-ai/arena-human-preference-55k
"""

from __future__ import annotations

import json

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, read_id
from gramr2.data.labels import number
from gramr2.data.turns import BadRowError, implicit_prompt


class ArenaVotes(DataSet):
    """``prompt``, ``response_a``, ``response_b``, ``winner_model_a``, ``winner_model_b``, ``winner_tie``."""

    columns = "prompt, response_a, response_b, winner_model_a, winner_model_b and winner_tie"
    needs = ("prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        questions = _listed(row["prompt"], "prompt")
        names = ("response_a", "response_b")
        talks = [_talk(questions, _listed(row[name], name), name) for name in names]
        prompt, first, second = implicit_prompt(talks[0], talks[1], names)
        outcomes = {Label.A: "winner_model_a", Label.B: "winner_model_b", Label.TIE: "winner_tie"}
        won = [label for label, key in outcomes.items() if number(row[key], key) == 1]
        if len(won) != 1:
            raise BadRowError(f"one of {', '.join(outcomes.values())} must be 1, not {len(won)} of them")
        return [labelled(row, comparison_of(row, read_id(row, default_id), prompt, first, second), won[0])]


def _listed(value: object, name: str) -> list[object]:
    """The turns of one side, which are JSON within the text; any other text is a single turn."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else [value]
        except ValueError:
            value = [value]
    if not isinstance(value, list) or not value:
        raise BadRowError(f"{name} must be a list of turns")
    return ["" if each is None else each for each in value]


def _talk(questions: list[object], answers: list[object], name: str) -> list[dict[str, object]]:
    if len(questions) != len(answers):
        raise BadRowError(f"prompt has {len(questions)} turns and {name} has {len(answers)}")
    pairs = zip(questions, answers, strict=True)
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


ARENA_VOTES = ArenaVotes()
