"""Run folders that are browsed: read when they are asked for, and again when they have changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gramr2.errors import ConfigError, DataError
from gramr2.reporting.run import RunView, read_run

Signature = tuple[tuple[str, int, int], ...]
READ = ("run.yaml", "data.json", "metrics.jsonl", "baselines.json", "judge/config.json", "rounds/*/*.json*")
"""the files of a run whose change is seen"""


def is_run(path: Path) -> bool:
    """Whether a folder looks like a run."""
    return (path / "run.yaml").is_file() and (path / "journal").is_dir()


def runs_in(path: Path) -> list[Path]:
    """The folder itself if it is a run, else the runs directly in it, by name."""
    if is_run(path):
        return [path]
    return sorted(each for each in path.iterdir() if is_run(each)) if path.is_dir() else []


class NoSuchRunError(DataError):
    """There is no run of that number, round or comparison."""


@dataclass
class Shelf:
    """Runs by number; nothing is ever written. Threads may share it."""

    runs: Sequence[Path]
    _read: dict[int, tuple[Signature, RunView]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("there is no run to browse: name run folders, or a folder of them")

    def name(self, number: int) -> str:
        """What a run is called: its folder's name, with the one above where several have the same."""
        path = self._path(number)
        alike = [each for each in self.runs if each.resolve().name == path.resolve().name]
        resolved = path.resolve()
        return resolved.name if len(alike) == 1 else f"{resolved.parent.name}/{resolved.name}"

    def view(self, number: int) -> RunView:
        """A run as it stands.

        Raises:
            NoSuchRunError: there is none of this number.
            RunError: it is damaged.
        """
        path = self._path(number)
        with self._lock:
            signature = _signature(path)
            known = self._read.get(number)
            if known is None or known[0] != signature:
                known = self._read[number] = (signature, read_run(path))
            return known[1]

    def _path(self, number: int) -> Path:
        if not 0 <= number < len(self.runs):
            raise NoSuchRunError(f"there is no run {number}: there are {len(self.runs)}")
        return self.runs[number]


def _signature(path: Path) -> Signature:
    found = sorted(file for pattern in READ for file in path.glob(pattern))
    signature: list[tuple[str, int, int]] = []
    for file in found:
        # A run that is at work renames its files into place.
        with suppress(FileNotFoundError):
            if file.suffix != ".tmp" and file.is_file():
                stat = file.stat()
                signature.append((str(file), stat.st_mtime_ns, stat.st_size))
    return tuple(signature)
