"""The journal gives back what it was given, whatever a crash left in the file."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.journal import FIRST, Journal, address, scan


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


RECORDS = {
    "k": {"text": "Ünïcode, “quoted”", "n": 1.5},
    "m": {"text": "", "probabilities": {"A": 0.25}},
    "o": {"x": None},
}


def written(file: Path) -> bytes:
    with Journal(file) as journal:
        for key, record in RECORDS.items():
            journal.write(key, record)
    return file.read_bytes()


def test_no_changed_bit_is_believed(tmp_path: Path) -> None:
    data = written(tmp_path / "j")
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / "changed").write_bytes(changed)
        found = scan(tmp_path / "changed")
        assert found.places.keys() <= RECORDS.keys(), bit
        assert found.damaged, bit
        assert len(found.places) >= len(RECORDS) - 2, bit


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_whatever_was_written_over_it_a_journal_opens_and_takes_the_answers_again(
    junk: bytes, start: int, size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "j"
        data = written(file)
        file.write_bytes(data[:start] + junk + data[start + size :])
        with Journal(file) as journal:
            for key, record in RECORDS.items():
                if journal.read(key) != {"key": key, **record}:
                    journal.write(key, record)
        with Journal(file) as journal:
            assert {key: journal.read(key) for key in RECORDS} == {k: {"key": k, **r} for k, r in RECORDS.items()}


@pytest.mark.parametrize("line", ["[" * 100_000, "[1]", '"text"', '{"key": ["k"]}', "{}", "null", "9" * 5000])
def test_a_line_that_is_no_record_is_counted(tmp_path: Path, line: str) -> None:
    file = tmp_path / "j"
    data = written(file)
    file.write_bytes(data + line.encode() + b"\n")
    with Journal(file) as journal:
        assert (len(journal), journal.damaged, journal.unchecked) == (3, 1, 0)


@pytest.mark.parametrize("length", [10, FIRST - 80, FIRST, 9 * FIRST])
def test_texts_are_read_from_the_file_whatever_their_length(tmp_path: Path, length: int) -> None:
    with Journal(tmp_path / "j") as journal, Journal(tmp_path / "j") as other:
        for number in range(3):
            journal.write(str(number), {"text": "é" * length + str(number)})
            other.write(f"other {number}", {"text": str(number)})
        assert [str(journal.read(str(n))["text"])[-1] for n in range(3)] == ["0", "1", "2"]  # type: ignore[index]
        assert [other.read(f"other {n}")["text"] for n in range(3)] == ["0", "1", "2"]  # type: ignore[index]
    with Journal(tmp_path / "j") as journal:
        assert len(journal) == 6 and journal.read("1") == {"key": "1", "text": "é" * length + "1"}


def test_a_line_that_changes_after_it_was_found_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with Journal(file) as journal:
        journal.write("k", {"text": "one"})
        file.write_bytes(file.read_bytes().replace(b"one", b"two"))
        assert journal.read("k") is None


def test_lines_of_an_older_version_are_read_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "j"
    file.write_text('{"key": "k", "text": "old"}\n')
    with Journal(file) as journal:
        assert (journal.read("k"), journal.unchecked) == ({"key": "k", "text": "old"}, 1)
        journal.write("m", {"text": "new"})
    with Journal(file) as journal:
        assert (len(journal), journal.damaged, journal.unchecked) == (2, 0, 1)
