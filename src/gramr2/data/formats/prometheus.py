"""Prometheus' preference collection: an instruction, two responses, the criterion, and A or B.

Source: https://huggingface.co/datasets/prometheus-eval/Preference-Collection
"""

from __future__ import annotations

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row, comparison_of, labelled, layout_of, read_id, read_verdict
from gramr2.data.turns import read_reply, read_text
from gramr2.messages import Message


class Prometheus(DataSet):
    """``orig_instruction``, ``orig_response_A``, ``orig_response_B``, ``orig_preference``."""

    columns = "orig_instruction, orig_response_A, orig_response_B and orig_preference"
    needs = ("orig_instruction", "orig_response_A", "orig_response_B")

    def read(self, row: Row, default_id: str) -> list[LabeledComparison | Comparison]:
        prompt = read_text(row["orig_instruction"], "orig_instruction")
        if "orig_criteria" in row:
            # It decides what counts, so the judge has to see it.
            prompt += f"\n\nCriterion: {read_text(row['orig_criteria'], 'orig_criteria')}"
        first, second = (read_reply(row[key], key) for key in ("orig_response_A", "orig_response_B"))
        if isinstance(row, Fields):
            # The same once more in the form of Prometheus' own prompt, and what its teacher wrote.
            row.use(
                "instruction",
                "output",
                "orig_feedback_A",
                "orig_feedback_B",
                "orig_feedback",
                "orig_reference_answer",
                "input",
            )
            row.use("orig_score_A", "orig_score_B")
        label, target = read_verdict(row.get("orig_preference"), layout_of(row))
        pair = comparison_of(row, read_id(row, default_id), (Message("user", prompt),), first, second)
        return [labelled(row, pair, label, target)]


PROMETHEUS = Prometheus()
