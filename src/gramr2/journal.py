"""Answers to requests, kept on disk: append-only, one JSON line each, addressed by a content hash and with a checksum."""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gramr2.errors import RunError, writing
from gramr2.files import strict_json
from gramr2.hashing import text_hash

_CHECK = ', "check": "'
FIRST = 4096
"""bytes that are read of a line at first; most are shorter"""
_CHECK_ENDS = re.compile(r'[0-9a-f]{12}"}')


def address(*parts: Any) -> str:
    """The key of an answer: a hash of everything that determines it, as JSON."""
    return text_hash(json.dumps(parts, sort_keys=True), 12)


class Journal:
    """Records in a file, by key; the last one of a key counts. Use as a context manager.

    Only the places of records are in memory, about 0.2 kB for each; their texts are read when they are asked for. A line that
    was cut off by a crash or has changed since is skipped; ``damaged`` counts such lines. ``unchecked`` counts the lines of older
    versions, which have no checksum. With ``alone``, no other process may have the file open with ``alone``. Without a path,
    records are kept in memory.

    Raises:
        RunError: another process has it open with ``alone``.
    """

    def __init__(self, path: Path | None = None, *, alone: bool = False) -> None:
        self.path = path
        self._places: dict[str, int] = {}
        self._records: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self.unchecked = 0
        self._file: IO[bytes] | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        if alone:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._file.close()
                raise RunError(
                    f"{path}: another process is doing the same work; wait for it, or write elsewhere"
                ) from error
        found = scan(path)
        self._places, self.damaged, self.unchecked = found.places, found.damaged, found.unchecked
        if not found.complete:
            self._file.write(b"\n")

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
        return len(self._records if self.path is None else self._places)

    def read(self, key: str) -> dict[str, Any] | None:
        """The record under ``key``; None too if its line has changed since it was found."""
        if self._file is None:
            return self._records.get(key)
        place = self._places.get(key)
        if place is None:
            return None
        try:
            record: dict[str, Any] = json.loads(_body(_line_at(self._file.fileno(), place)))
        except (ValueError, RecursionError):
            return None
        return record

    def write(self, key: str, record: dict[str, Any]) -> None:
        """Append and flush: at most the line being written is lost."""
        record = {"key": key, **record}
        if self._file is None or self.path is None:
            self._records[key] = record
            return
        line = (_line(record) + "\n").encode("utf-8", "surrogatepass")
        with writing(self.path):
            self._file.write(line)
            self._file.flush()
        # Another process may append to the same file: only after the write is its place known.
        self._places[key] = self._file.tell() - len(line)

    def take(self, key: str, former: str) -> None:
        """Also find under ``key`` what an older version wrote under ``former``."""
        if key not in self._places and former in self._places:
            self._places[key] = self._places[former]


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each record of a journal file begins, by key; how many of its lines are damaged, or have no checksum; and whether
    the last line is complete."""

    places: dict[str, int]
    damaged: int
    unchecked: int
    complete: bool


def scan(path: Path) -> Lines:
    """Check every line of a journal file."""
    places: dict[str, int] = {}
    damaged = unchecked = at = 0
    line = b"\n"
    with path.open("rb") as file:
        for line in file:
            start, at = at, at + len(line)
            if not (content := line.removesuffix(b"\n")):
                continue
            try:
                text = content.decode("utf-8", "surrogatepass")
                body = _body(text)
                places[_key(json.loads(body))] = start
            # Deep nesting is a RecursionError.
            except (ValueError, RecursionError):
                damaged += 1
            else:
                unchecked += body is text
    return Lines(places, damaged, unchecked, line.endswith(b"\n"))


def _line_at(descriptor: int, place: int) -> str:
    """The line that begins at a place, without its end."""
    found, size = b"", FIRST
    while b"\n" not in found:
        part = os.pread(descriptor, size, place + len(found))
        if not part:
            break
        found, size = found + part, 2 * size
    return found.partition(b"\n")[0].decode("utf-8", "surrogatepass")


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
