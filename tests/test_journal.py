"""The journal gives back what it was given, whatever a crash left in the file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gramr2.journal import Journal, address


def test_round_trip(tmp_path: Path) -> None:
    with Journal(tmp_path / "j" / "x.jsonl") as journal:
        journal.write("k", {"text": "Ünïcode\nlines"})
        journal.write("k", {"text": "another"})
    with Journal(tmp_path / "j" / "x.jsonl") as journal:
        assert journal.read("k") == {"key": "k", "text": "another"}
        assert journal.read("other") is None
        assert len(journal) == 1


def test_without_a_path_it_is_kept_in_memory() -> None:
    with Journal() as journal:
        journal.write("k", {"text": "a"})
        assert journal.read("k") == {"key": "k", "text": "a"}


def test_a_half_written_line_is_recognised_and_written_again(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    with Journal(file) as journal:
        journal.write("k", {"text": "Ünïcode"})
        journal.write("m", {"text": "Ünïcode"})
    whole = file.read_bytes()
    for cut in range(whole.index(b"\n") + 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with Journal(file) as journal:
            assert journal.read("k") == {"key": "k", "text": "Ünïcode"}
            assert journal.read("m") is None
            assert journal.damaged == 1
            journal.write("m", {"text": "again"})
        with Journal(file) as journal:
            assert journal.read("m") == {"key": "m", "text": "again"}


def test_an_address_depends_on_every_part() -> None:
    keys = {address("a", 1, ["x"]), address("a", 1, ["y"]), address("a", 2, ["x"]), address("b", 1, ["x"])}
    assert len(keys) == 4
    assert address("a", 1, ["x"]) in keys


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    with Journal(file) as journal:
        journal.write("a", {"text": "kept"})
    whole = file.read_bytes()
    with Journal(file) as journal:
        real = journal._file

        class Full:
            """Takes half a line and then has no room."""

            def write(self, text: str) -> int:
                real.write(text[: len(text) // 2])
                real.flush()
                raise OSError(errno.ENOSPC, "No space left on device")

            def close(self) -> None:
                real.close()

        journal._file = Full()  # type: ignore[assignment]
        with pytest.raises(OSError, match="No space left"):
            journal.write("b", {"text": "lost"})
    assert file.read_bytes().startswith(whole)
    with Journal(file) as journal:
        assert journal.read("a") == {"key": "a", "text": "kept"}
        assert journal.read("b") is None
        assert journal.damaged == 1


def test_half_a_surrogate_pair_of_a_server_is_kept_like_any_text(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.write("k", {"text": "a\ud800b"})
    with Journal(tmp_path / "j") as journal:
        assert journal.read("k") == {"key": "k", "text": "a\ud800b"}
