"""The journal gives back what it was given, whatever a crash left in the file."""

from __future__ import annotations

from pathlib import Path

from conftest import vote
from gramr2.judgment import Outcome
from gramr2.selftraining.journal import Journal

ONE = vote(Outcome.A, probabilities=(0.7, 0.2, 0.1), rationale="Ünïcode\nlines")


def test_round_trip(tmp_path: Path) -> None:
    with Journal(tmp_path / "j" / "x.jsonl") as journal:
        journal.put("k", "c", ONE)
        journal.put("t", "c", vote(Outcome.TRUNCATED))
    with Journal(tmp_path / "j" / "x.jsonl") as journal:
        assert journal.get("k") == ONE
        assert journal.get("t") == vote(Outcome.TRUNCATED)
        assert journal.get("other") is None
        assert len(journal) == 2


def test_errors_are_recorded_but_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path / "x.jsonl") as journal:
            assert journal.get("k") is None
            journal.put("k", "c", vote(Outcome.ERROR))
    assert (tmp_path / "x.jsonl").read_text().count("\n") == 2


def test_a_half_written_line_is_recognised_and_written_again(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    with Journal(file) as journal:
        journal.put("k", "c", ONE)
        journal.put("m", "c", ONE)
    whole = file.read_bytes()
    for cut in range(whole.index(b"\n") + 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with Journal(file) as journal:
            assert journal.get("k") == ONE
            assert journal.get("m") is None
            assert journal.damaged == 1
            journal.put("m", "c", ONE)
        with Journal(file) as journal:
            assert journal.get("m") == ONE
