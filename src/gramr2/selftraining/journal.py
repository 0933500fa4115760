"""Judgments on disk: append-only, one JSON line each, addressed by a hash of all that decides them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from gramr2.comparison import Order
from gramr2.judgment import FinishReason, Judgment, LabelProbabilities, Outcome


class Journal:
    """A ``JudgmentStore`` in a file.

    Reading skips a line that was cut off by a crash; failed judgments are written, for the record, but not given back, so
    a resumed run tries them again. Use as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Judgment] = {}
        self.damaged = 0
        end = self._read()
        self._file: IO[str] = path.open("a", encoding="utf-8")
        if not end:
            self._file.write("\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Judgment | None:
        """The judgment under ``key``, unless it failed by error."""
        return self._known.get(key)

    def put(self, key: str, comparison_id: str, judgment: Judgment) -> None:
        """Append and flush: at most the line being written is lost."""
        self._file.write(json.dumps({"key": key, "id": comparison_id, **asdict(judgment)}, ensure_ascii=False) + "\n")
        self._file.flush()
        if judgment.outcome is not Outcome.ERROR:
            self._known[key] = judgment

    def _read(self) -> bool:
        """Load what is there; returns whether the file ends in a complete line."""
        if not self.path.exists():
            return True
        data = self.path.read_bytes()
        for line in data.split(b"\n"):
            if not line:
                continue
            try:
                record = json.loads(line)
                key, judgment = record["key"], judgment_from(record)
            except (ValueError, KeyError, TypeError):
                self.damaged += 1
                continue
            if judgment.outcome is not Outcome.ERROR:
                self._known[key] = judgment
        return not data or data.endswith(b"\n")


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
    )
