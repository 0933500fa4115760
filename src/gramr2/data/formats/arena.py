"""Chatbot Arena and MT-bench: two conversations of the same user, and the winner of the exchange number ``turn``.

Source: https://huggingface.co/datasets/lmsys/chatbot_arena_conversations and https://huggingface.co/datasets/lmsys/mt_bench_human_judgments
"""

from __future__ import annotations

from collections.abc import Mapping

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, layout_of, read_id, read_verdict
from gramr2.data.labels import number
from gramr2.data.turns import BadRowError, implicit_prompt


class Arena(DataSet):
    """``conversation_a``, ``conversation_b`` and ``winner``."""

    columns = "conversation_a, conversation_b and winner"
    needs = ("conversation_a", "conversation_b")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        if isinstance(row, Fields):
            row.use("openai_moderation", "toxic_chat_tag", "conv_metadata", "category_tag")
        turn = row.get("turn")
        known = turn is not None or row.get("evaluation_order") is not None
        names = ("conversation_a", "conversation_b")
        first, second = (_until(row[name], turn, name, known) for name in names)
        prompt, one, two = implicit_prompt(first, second, names)
        label, target = read_verdict(row.get("winner"), layout_of(row))
        return [labelled(row, comparison_of(row, read_id(row, default_id), prompt, one, two), label, target)]


def _until(conversation: object, turn: object, name: str, known: bool) -> object:
    """The conversation up to the answer that was judged: MT-bench keeps the later ones too."""
    if not isinstance(conversation, list):
        return conversation
    answers = [
        i for i, each in enumerate(conversation) if isinstance(each, Mapping) and each.get("role") == "assistant"
    ]
    if not known and len(answers) > 1:
        raise BadRowError(f"{name} has {len(answers)} answers: the column turn must say which one was judged")
    if turn is None:
        return conversation
    wanted = number(turn, "turn")
    if not (wanted.is_integer() and 1 <= wanted <= len(answers)):
        raise BadRowError(f"{name} has {len(answers)} answers, and turn {wanted:g} was judged")
    return conversation[: answers[int(wanted) - 1] + 1]


ARENA = Arena()
