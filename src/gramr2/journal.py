"""Answers to requests, kept on disk: append-only, one JSON line each, addressed by a content hash."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO, Any

from gramr2.errors import RunError, writing
from gramr2.files import strict_json
from gramr2.hashing import text_hash


def address(*parts: Any) -> str:
    """The key of an answer: a hash of everything that determines it, as JSON."""
    return text_hash(json.dumps(parts, sort_keys=True), 12)


class Journal:
    """Records in a file, by key; the last one of a key counts. Use as a context manager.

    Reading skips a line that was cut off by a crash; ``damaged`` counts such lines. With ``alone``, no other process may have
    the file open with ``alone``. Without a path, records are kept in memory.

    Raises:
        RunError: another process has it open with ``alone``.
    """

    def __init__(self, path: Path | None = None, *, alone: bool = False) -> None:
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        self.damaged = 0
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
                self._file.write(strict_json(record) + "\n")
                self._file.flush()
        self._known[key] = record

    def _load(self, path: Path) -> bool:
        """Read what is there; returns whether the file ends in a complete line."""
        data = path.read_bytes()
        for line in data.split(b"\n"):
            if not line:
                continue
            try:
                record = json.loads(line)
                self._known[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                self.damaged += 1
        return not data or data.endswith(b"\n")
