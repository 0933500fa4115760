"""A run folder, read for display: as much of it as exists, finished or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gramr2.errors import RunError
from gramr2.reporting import files
from gramr2.reporting.files import REMEDY, Row
from gramr2.selftraining.filters.stack import place_of_rationales
from gramr2.selftraining.run.history import Work, read_history
from gramr2.selftraining.run.manifest import METRICS
from gramr2.selftraining.run.records import RoundRecord

__all__ = ["RoundView", "Row", "RunView", "read_run"]


@dataclass(frozen=True, slots=True)
class RoundView:
    """One round: its metrics (None while it is under way), and its rows of kept, dropped and gold comparisons."""

    number: int
    metrics: RoundRecord | None
    kept: tuple[Row, ...]
    dropped: tuple[Row, ...]
    gold: tuple[Row, ...]

    @property
    def title(self) -> str:
        """“round 2”, “seed judge” or “final stage”."""
        stage = self.metrics.stage if self.metrics else "seed" if self.number == 0 else "round"
        return {"seed": "seed judge", "final": "final stage"}.get(stage, f"round {self.number}")

    def filters(self, stack: tuple[str, ...]) -> tuple[str, ...]:
        """The filters that dropped something here, in the order of the stack."""
        found = {row["filter"] for row in self.dropped}
        return tuple(name for name in stack if name in found)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands: its resolved config, its rounds in order, and the accuracy of always choosing the longer response.

    ``warmup`` is the report of a warm-up; ``baselines`` are the records of ``baselines.json``; ``last`` is what a finished run
    records about the run as a whole; ``contamination`` is how much of gold is in what it learnt from, which older runs lack;
    ``history`` is when it was at work.
    """

    path: Path
    config: Row
    rounds: tuple[RoundView, ...]
    longer: float | None = None
    warmup: Row | None = None
    baselines: Row = field(default_factory=dict)
    last: Row = field(default_factory=dict)
    contamination: Row = field(default_factory=dict)
    history: tuple[Work, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know first; empty until the run is finished."""
        return tuple(self.last.get("warnings", ()))

    @property
    def finished(self) -> bool:
        """Whether the final judge exists."""
        return (self.path / "judge" / "config.json").is_file()

    @property
    def stack(self) -> tuple[str, ...]:
        """Everything that may drop a comparison, in order: see ``gramr2.selftraining.filters.stack.build``."""
        kinds = [each["kind"] for each in self.config.get("filters", ())]
        place = place_of_rationales(kinds)
        return ("abstained", *kinds[:place], "unproven", *kinds[place:])

    @property
    def measured(self) -> tuple[RoundView, ...]:
        """Rounds with metrics."""
        return tuple(each for each in self.rounds if each.metrics is not None)


def read_run(path: Path) -> RunView:
    """Read a run folder.

    Raises:
        RunError: the folder is not a run, or a file in it is damaged or missing.
        ConfigError: its run.yaml is not YAML.
    """
    file = path / "run.yaml"
    # A run file that a person wrote may have the same name; only a run has a journal next to it.
    if not file.is_file() or not (path / "journal").is_dir():
        raise RunError(
            f"{path} is not a run folder: it has no run.yaml with a journal next to it; make one with gramr2 train"
        )
    config = files.config(file)
    numbers = sorted(int(each.name) for each in (path / "rounds").glob("*") if _is_number(each.name))
    rounds = tuple(_round(path / "rounds" / str(number), number) for number in numbers)
    facts = _optional(path / "data.json", files.DataShape)
    lines = files.rows(path / "metrics.jsonl", files.LineShape)
    view = RunView(
        path,
        config,
        rounds,
        facts.get("gold", {}).get("longer_response_accuracy"),
        _optional(path / "warmup" / "report.json", files.WarmupShape) or None,
        files.baselines(path / "baselines.json") if (path / "baselines.json").is_file() else {},
        {key: lines[-1][key] for key in ("against_baselines", "warnings") if key in lines[-1]} if lines else {},
        facts.get("contamination") or {},
        read_history(path),
    )
    for name in _missing(view, len(lines)):
        raise RunError(f"{path / name} is missing or incomplete: {REMEDY}")
    return view


def _missing(view: RunView, lines: int) -> Iterator[str]:
    """What a run as far as this one has, and this one has not."""
    for each in view.rounds[: None if view.finished else -1]:
        if each.metrics is None:
            yield f"rounds/{each.number}/{METRICS}"
    if not view.finished:
        return
    gone = set(range(max(len(view.rounds), lines))) - {each.number for each in view.rounds}
    yield from (f"rounds/{number}" for number in sorted(gone))
    if not (view.path / "data.json").is_file():
        yield "data.json"
    if lines < len(view.rounds):
        yield "metrics.jsonl"
    if view.config.get("baselines") and not view.baselines:
        yield "baselines.json"
    if view.config.get("warmup") and not view.warmup:
        yield "warmup/report.json"


def _round(folder: Path, number: int) -> RoundView:
    return RoundView(
        number,
        files.finished_round(folder),
        files.rows(folder / "kept.jsonl", files.JudgedRow),
        files.rows(folder / "dropped.jsonl", files.DroppedRow),
        files.rows(folder / "gold.jsonl", files.GoldRow),
    )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _optional(file: Path, shape: type[files.Shape]) -> Row:
    return files.record(file, shape) if file.is_file() else {}
