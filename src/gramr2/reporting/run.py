"""A run folder, read for display: as much of it as exists, finished or not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gramr2.errors import RunError
from gramr2.files import read_jsonl
from gramr2.selftraining.filters.stack import place_of_rationales
from gramr2.selftraining.run.records import RoundRecord

Row = dict[str, Any]


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
    records about the run as a whole.
    """

    path: Path
    config: Row
    rounds: tuple[RoundView, ...]
    longer: float | None = None
    warmup: Row | None = None
    baselines: Row = field(default_factory=dict)
    last: Row = field(default_factory=dict)

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
        RunError: the folder is not a run, or a file in it is damaged.
    """
    file = path / "run.yaml"
    # A run file that a person wrote may have the same name; only a run has a journal next to it.
    if not file.is_file() or not (path / "journal").is_dir():
        raise RunError(
            f"{path} is not a run folder: it has no run.yaml with a journal next to it; make one with gramr2 train"
        )
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        numbers = sorted(int(each.name) for each in (path / "rounds").glob("*") if each.name.isdigit())
        rounds = tuple(_round(path / "rounds" / str(number), number) for number in numbers)
        summary, baselines = _record(path / "data.json"), _record(path / "baselines.json")
        warmup = _record(path / "warmup" / "report.json") or None
        lines = _rows(path / "metrics.jsonl")
    except (ValueError, yaml.YAMLError) as error:
        raise RunError(f"{path}: a file of this run cannot be read: {error}") from error
    longer = summary.get("gold", {}).get("longer_response_accuracy")
    keys = ("against_baselines", "warnings")
    last = {key: lines[-1][key] for key in keys if key in lines[-1]} if lines else {}
    return RunView(path, config, rounds, longer, warmup, baselines, last)


def _round(folder: Path, number: int) -> RoundView:
    metrics = folder / "metrics.json"
    return RoundView(
        number,
        RoundRecord.read(metrics) if metrics.is_file() else None,
        *(_rows(folder / f"{name}.jsonl") for name in ("kept", "dropped", "gold")),
    )


def _record(file: Path) -> Row:
    found: Row = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _rows(file: Path) -> tuple[Row, ...]:
    return tuple(read_jsonl(file)) if file.is_file() else ()
