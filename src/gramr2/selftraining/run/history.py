"""When a run was at work, and with what: the only thing in a run folder that a resumed run does not write again byte for byte."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gramr2.errors import RunError, writing

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

    name = secrets.token_hex(4)
    _append(run, {"work": name, "started": _now(), "versions": versions(), "commit": commit()})
    try:
        yield
    finally:
        # What stopped the run matters more than when it stopped.
        with suppress(OSError, RunError):
            _append(run, {"work": name, "ended": _now()})


def read_history(run: Path) -> tuple[Work, ...]:
    """All work on a run, in order; lines that cannot be read are left out. Empty for a run of an older version."""
    if not (run / FILE).is_file():
        return ()
    found: dict[str, Work] = {}
    for line in (run / FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            if "started" in row:
                found[row["work"]] = Work(_time(row["started"]), None, str(row["versions"]), row.get("commit"))
            else:
                found[row["work"]] = replace(found[row["work"]], ended=_time(row["ended"]))
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found.values())


def _append(run: Path, row: dict[str, str | None]) -> None:
    file = run / FILE
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as handle:
            # A line of its own, whatever a killed process has left of the last one.
            handle.write("\n" + json.dumps(row))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
