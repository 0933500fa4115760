"""OpenAI's preference fine-tuning: messages and tools, and a preferred and a non-preferred output.

Source: https://platform.openai.com/docs/guides/direct-preference-optimization
"""

from __future__ import annotations

from collections.abc import Mapping

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, preferred, read_id
from gramr2.data.prompts import find_prompt
from gramr2.data.turns import BadRowError, read_answer


class OpenAIPreference(DataSet):
    """``input`` with ``messages``, ``preferred_output``, ``non_preferred_output``."""

    columns = "input (messages), preferred_output and non_preferred_output"
    needs = ("input", "preferred_output", "non_preferred_output")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        if not isinstance(row["input"], Mapping):
            raise BadRowError("input must be an object with messages")
        asked = Fields(row["input"])
        prompt = find_prompt(asked)
        if prompt is None:
            raise BadRowError("input has no messages")
        asked.refuse_unused("input")
        chosen, rejected = (read_answer(row[key], key, prompt) for key in ("preferred_output", "non_preferred_output"))
        return [preferred(row, read_id(row, default_id), prompt, chosen, rejected)]


OPENAI_PREFERENCE = OpenAIPreference()
