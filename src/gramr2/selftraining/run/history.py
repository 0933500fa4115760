"""When a run was at work, and with what: the only thing in a run folder that a resumed run does not write again byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gramr2.errors import writing

FILE = Path("journal") / "history.jsonl"


@dataclass(frozen=True, slots=True)
class Work:
    """One process's work on a run; ``ended`` is None if it was killed. Times are UTC."""

    started: datetime
    ended: datetime | None
    versions: str
    commit: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took, if it came to an end."""
        return (self.ended - self.started).total_seconds() if self.ended else None


@contextmanager
def recorded(run: Path) -> Iterator[None]:
    """Record that this process works on a run; also when it stops with an error."""
    from gramr2.backends.versions import commit, versions

    _append(run, {"started": _now(), "versions": versions(), "commit": commit()})
    try:
        yield
    finally:
        _append(run, {"ended": _now()})


def read_history(run: Path) -> tuple[Work, ...]:
    """All work on a run, in order; lines that cannot be read are left out. Empty for a run of an older version."""
    if not (run / FILE).is_file():
        return ()
    found: list[Work] = []
    for line in (run / FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            if "started" in row:
                found.append(Work(_time(row["started"]), None, str(row["versions"]), row.get("commit")))
            elif found:
                ended = _time(row["ended"])
                found[-1] = replace(found[-1], ended=ended)
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def _append(run: Path, row: dict[str, str | None]) -> None:
    file = run / FILE
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
