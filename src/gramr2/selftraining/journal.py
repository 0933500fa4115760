"""The judgments of a run in its journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gramr2.comparison import Order
from gramr2.journal import Journal
from gramr2.judgment import FinishReason, Judgment, LabelProbabilities, Outcome, Reading


class Judgments:
    """A ``JudgmentStore`` in a journal. Failed judgments are written, for the record, but not given back: a resumed run
    tries them again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def get(self, key: str) -> Judgment | None:
        """The judgment under ``key``, unless it failed by error or cannot be read."""
        record = self._journal.read(key)
        if record is None:
            return None
        try:
            judgment = judgment_from(record)
        except (KeyError, ValueError, TypeError):
            return None
        return None if judgment.outcome is Outcome.ERROR else judgment

    def put(self, key: str, comparison_id: str, judgment: Judgment) -> None:
        """Keep a judgment."""
        self._journal.write(key, {"id": comparison_id, **asdict(judgment)})


def judgment_from(record: dict[str, Any]) -> Judgment:
    """A judgment out of its JSON form.

    Raises:
        KeyError, ValueError, TypeError: the record is not one.
    """
    probabilities = record["probabilities"]
    return Judgment(
        order=Order(record["order"]),
        sample=record["sample"],
        seed=record["seed"],
        outcome=Outcome(record["outcome"]),
        finish_reason=FinishReason(record["finish_reason"]),
        rationale=record["rationale"],
        probabilities=None if probabilities is None else LabelProbabilities(**probabilities),
        prompt_tokens=record["prompt_tokens"],
        completion_tokens=record["completion_tokens"],
        error=record["error"],
        reading=Reading(record.get("reading", Reading.REASONED)),
    )
