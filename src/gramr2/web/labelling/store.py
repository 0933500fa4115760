"""One annotator's answers: a log that only grows, and the seed file made of it, both on disk before the next one is shown."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gramr2.errors import ConfigError, RunError, writing
from gramr2.files import replace_file, strict_json

LABEL, SKIP, UNDO = "label", "skip", "undo"
Row = dict[str, Any]


class LabelStore:
    """Answers in ``FILE.log``, an event on each line, and in FILE the labels that count, as rows of a seed file.

    The log is the truth: it is appended to and synced first, and FILE is then replaced as a whole. So after a crash FILE lacks
    the last label, or all since the disk was full, and has them as soon as the store is opened again. A line that a crash has
    cut off is skipped; ``damaged`` counts such lines. Use as a context manager.

    Args:
        out: the seed file.
        annotator: who labels; a file has one.

    Raises:
        ConfigError: the file is somebody else's, or was not written here.
        RunError: it was changed by hand, or another process labels into it.
    """

    def __init__(self, out: Path, annotator: str | None = None) -> None:
        self.out, self.log, self.annotator = out, out.with_name(out.name + ".log"), annotator
        self.damaged = 0
        self._lines: dict[str, tuple[Row, bytes]] = {}
        if out.is_dir() or out.suffix != ".jsonl":
            raise ConfigError(f"--label {out}: name a file that ends in .jsonl")
        if out.exists() and not self.log.exists():
            raise ConfigError(
                f"--label {out} exists, and has no {self.log.name} beside it: its labels were not given here. Name another file; "
                "data.seed takes a list of files"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, which would write again later what a full disk has refused now.
        self._file = self.log.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise RunError(f"{out}: another gramr2 ui labels into it: end that one, or name another file") from error
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes have the file."""
        self._file.close()

    @property
    def answers(self) -> dict[str, Row]:
        """The events that count, by the comparison's id, the oldest first."""
        return self._answers

    def add(self, event: Row) -> None:
        """Keep an answer: its ``event`` is ``label``, with the ``row`` of the seed file, or ``skip``, or ``undo``.

        Raises:
            OSError: it cannot be kept; then it does not count.
        """
        line = (strict_json(event, ensure_ascii=True) + "\n").encode()
        with writing(self.log):
            size = os.fstat(self._file.fileno()).st_size
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fsync(self._file.fileno())
            except OSError:
                # Half a line must not end up in front of the next one.
                os.truncate(self._file.fileno(), size)
                raise
        _apply(self._answers, event)
        self._write()

    def _open(self) -> None:
        events: list[Row] = []
        *lines, rest = self.log.read_bytes().split(b"\n")
        for line in [*lines, *([rest] if rest else [])]:
            try:
                event = json.loads(line)
                _apply({}, event)
                events.append(event)
            except (ValueError, KeyError, TypeError):
                self.damaged += 1
        if rest:
            self._file.write(b"\n")
        names = {each.get("annotator") for each in events} - {self.annotator}
        if names:
            raise ConfigError(
                f"--label {self.out} has labels by {names.pop() or 'somebody without a name'}: give every annotator a file of "
                "their own, or --annotator the name that it was begun with"
            )
        self._answers = folded(events)
        if self.out.exists() and not _occurred(self.out.read_bytes(), events):
            raise RunError(
                f"{self.out} was changed by something else than gramr2 ui: rename it, and it is made again from {self.log.name}"
            )
        self._write()

    def _write(self) -> None:
        replace_file(self.out, self._text(self._answers))

    def _text(self, answers: dict[str, Row]) -> bytes:
        """The seed file. Each line is written as JSON once: there may be thousands, and a person waits."""
        for name, each in answers.items():
            if each["event"] == LABEL and self._lines.get(name, (None, b""))[0] is not each:
                self._lines[name] = each, _line(each)
        return b"".join(self._lines[name][1] for name, each in answers.items() if each["event"] == LABEL)


def _line(event: Row) -> bytes:
    """The line of the seed file for an event that is a label."""
    return (strict_json(event["row"]) + "\n").encode("utf-8", "surrogatepass")


def _occurred(text: bytes, events: Iterable[Row]) -> bool:
    """Whether the seed file was this text before these events, or after any of them."""
    if not text:
        return True
    lines: dict[str, bytes] = {}
    size = 0
    for event in events:
        size -= len(lines.pop(event["id"], b""))
        if event["event"] == LABEL:
            lines[event["id"]] = _line(event)
            size += len(lines[event["id"]])
        # There may be thousands of events: only what has the right size is compared.
        if size == len(text) and b"".join(lines.values()) == text:
            return True
    return False


def folded(events: Iterable[Row]) -> dict[str, Row]:
    """The events that count, by id, the oldest first: an undo takes back what was said last of its comparison."""
    found: dict[str, Row] = {}
    for event in events:
        _apply(found, event)
    return found


def _apply(answers: dict[str, Row], event: Row) -> None:
    kind, name = event["event"], event["id"]
    if kind not in (LABEL, SKIP, UNDO) or (kind == LABEL and not isinstance(event["row"], dict)):
        raise ValueError(f"no event: {kind}")
    answers.pop(name, None)
    if kind != UNDO:
        answers[name] = event
