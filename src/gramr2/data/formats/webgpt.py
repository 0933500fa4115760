"""WebGPT comparisons: two answers with a score each. The quotes that an answer cites are not shown to the judge.

Source: https://huggingface.co/datasets/openai/webgpt_comparisons
"""

from __future__ import annotations

from collections.abc import Mapping

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, pairs_of, read_id
from gramr2.data.turns import BadRowError, read_reply, read_text
from gramr2.messages import Message


class WebGPT(DataSet):
    """``question`` with ``full_text``, ``answer_0``, ``answer_1``, ``score_0``, ``score_1``."""

    columns = "question (an object), answer_0, answer_1, score_0 and score_1"
    needs = ("question", "answer_0", "answer_1", "score_0", "score_1")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        question = row["question"]
        if not isinstance(question, Mapping):
            question = {"full_text": question}
        strange = [key for key in question if key not in ("full_text", "dataset", "id")]
        if strange:
            raise BadRowError(
                f"question has {', '.join(map(str, strange))}, which is not known of WebGPT: name it in ignore"
            )
        prompt = (Message("user", read_text(question.get("full_text"), "question.full_text")),)
        texts = [read_reply(row[key], key) for key in ("answer_0", "answer_1")]
        if isinstance(row, Fields):
            row.use("quotes_0", "quotes_1", "tokens_0", "tokens_1")
        return pairs_of(row, read_id(row, default_id), prompt, texts, [row["score_0"], row["score_1"]])


WEBGPT = WebGPT()
