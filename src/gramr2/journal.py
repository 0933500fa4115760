"""Answers to requests, kept on disk: append-only, one JSON line each, addressed by a content hash and with a checksum."""

from __future__ import annotations

import fcntl
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gramr2.errors import RunError, writing
from gramr2.files import strict_json
from gramr2.hashing import text_hash

_CHECK = ', "check": "'
_CHECK_ENDS = re.compile(r'[0-9a-f]{12}"}')


def address(*parts: Any) -> str:
    """The key of an answer: a hash of everything that determines it, as JSON."""
    return text_hash(json.dumps(parts, sort_keys=True), 12)


class Journal:
    """Records in a file, by key; the last one of a key counts. Use as a context manager.

    Reading skips a line that was cut off by a crash or has changed since; ``damaged`` counts such lines. ``unchecked`` counts
    the lines of older versions, which have no checksum. With ``alone``, no other process may have the file open with ``alone``.
    Without a path, records are kept in memory.

    Raises:
        RunError: another process has it open with ``alone``.
    """

    def __init__(self, path: Path | None = None, *, alone: bool = False) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self.unchecked = 0
        self._file: IO[str] | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="surrogatepass")
        if alone:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._file.close()
                raise RunError(
                    f"{path}: another process is doing the same work; wait for it, or write elsewhere"
                ) from error
        if not self._load(path):
            self._file.write("\n")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._file:
                self._file.close()
        except OSError:
            # Closing tries once more to write what a full disk refused; the first error is the one to report.
            if kind is None:
                raise

    def __len__(self) -> int:
        return len(self._known)

    def read(self, key: str) -> dict[str, Any] | None:
        """The record under ``key``."""
        return self._known.get(key)

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Append and flush: at most the line being written is lost."""
        record = {"key": key, **record}
        if self._file and self.path:
            with writing(self.path):
                self._file.write(_line(record) + "\n")
                self._file.flush()
        self._known[key] = record

    def take(self, key: str, former: str) -> None:
        """Also find under ``key`` what an older version wrote under ``former``."""
        if key not in self._known and former in self._known:
            self._known[key] = self._known[former]

    def _load(self, path: Path) -> bool:
        """Read what is there; returns whether the file ends in a complete line."""
        data = path.read_bytes()
        found = read_lines(data)
        self._known, self.damaged, self.unchecked = found.records, found.damaged, found.unchecked
        return not data or data.endswith(b"\n")


@dataclass(frozen=True, slots=True)
class Lines:
    """The records in a journal file by key, and how many of its lines are damaged, or have no checksum."""

    records: dict[str, dict[str, Any]]
    damaged: int
    unchecked: int


def read_lines(data: bytes) -> Lines:
    """The content of a journal file."""
    records: dict[str, dict[str, Any]] = {}
    damaged = unchecked = 0
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            text = line.decode("utf-8", "surrogatepass")
            body = _body(text)
            record = json.loads(body)
            records[_key(record)] = record
        # Deep nesting is a RecursionError.
        except (ValueError, RecursionError):
            damaged += 1
        else:
            unchecked += body is text
    return Lines(records, damaged, unchecked)


def _line(record: dict[str, Any]) -> str:
    """The record as JSON, its last field a checksum of the rest."""
    body = strict_json(record)
    return f'{body[:-1]}{_CHECK}{text_hash(body, 6)}"}}'


def _body(line: str) -> str:
    """A line without its checksum, or the line itself if an older version wrote it.

    Raises:
        ValueError: the checksum is not that of the line.
    """
    head, found, tail = line.rpartition(_CHECK)
    # One of the two is there after any single change, so a damaged checksum does not pass for a missing one.
    if not found and not _CHECK_ENDS.fullmatch(line[-14:]):
        return line
    body = head + "}"
    if tail != f'{text_hash(body, 6)}"}}':
        raise ValueError("the checksum does not match")
    return body


def _key(record: Any) -> str:
    key = record.get("key") if isinstance(record, dict) else None
    if not isinstance(key, str):
        raise ValueError("no key")
    return key
