"""The digest of a large file is kept, and read again whenever the file may have changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gramr2.backends import digests


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read in full, each time."""
    monkeypatch.setattr(digests, "LARGE", 4)
    monkeypatch.setattr(digests, "SETTLED_NS", -1)
    found: list[Path] = []
    real = digests.file_digest

    def counted(file: Path) -> str:
        found.append(file)
        return real(file)

    monkeypatch.setattr(digests, "file_digest", counted)
    return found


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(tmp_path: Path, read: list[Path]) -> None:
    file, cache = tmp_path / "w", tmp_path / "cache"
    file.write_bytes(b"weights")
    assert [digests.kept_digest(file, cache) for _ in range(3)] == [sha(b"weights")] * 3
    assert len(read) == 1
    times = file.stat().st_mtime_ns
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(times, times))
    assert digests.kept_digest(file, cache) == sha(b"WEIGHTS"), "same size, same modification time"
    assert len(read) == 2


def test_a_file_that_has_just_changed_is_not_trusted(
    tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED_NS", 10**15)
    file = tmp_path / "w"
    file.write_bytes(b"weights")
    assert [digests.kept_digest(file, tmp_path / "cache") for _ in range(2)] == [sha(b"weights")] * 2
    assert len(read) == 2


@pytest.mark.parametrize("junk", ["", "{", "[1]", "{}", '{"state": 1}'])
def test_a_damaged_cache_is_not_believed(tmp_path: Path, read: list[Path], junk: str) -> None:
    file, cache = tmp_path / "w", tmp_path / "cache"
    file.write_bytes(b"weights")
    digests.kept_digest(file, cache)
    (place,) = cache.iterdir()
    place.write_text(junk)
    assert digests.kept_digest(file, cache) == sha(b"weights")
    assert len(read) == 2


def test_without_a_place_for_the_cache_it_is_read_each_time(tmp_path: Path, read: list[Path]) -> None:
    file, cache = tmp_path / "w", tmp_path / "cache"
    file.write_bytes(b"weights")
    cache.touch()
    assert [digests.kept_digest(file, cache) for _ in range(2)] == [sha(b"weights")] * 2
    assert len(read) == 2
