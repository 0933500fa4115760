"""The files of a run folder as readers of runs need them: each has what its readers use, or is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from gramr2.config.load import read_yaml
from gramr2.errors import RunError, reason_of
from gramr2.evaluation.metrics import PairedTest
from gramr2.selftraining.integrity import contradictions
from gramr2.selftraining.run.manifest import METRICS, OF_A_ROUND, damage, refuse_damage, sealed
from gramr2.selftraining.run.records import RoundRecord

Row = dict[str, Any]
REMEDY = "restore it from a copy, or give the same gramr2 train command again, which makes it again"


class Shape(BaseModel):
    """What readers use of a record; it may have more."""

    # Only infinite numbers and other types are damage: a run writes null for what is not a number.
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Named(Shape):
    name: str


class _Kind(Shape):
    kind: str


class _Rationale(Shape):
    source: str = "joint"


class ConfigShape(Shape):
    """``run.yaml``."""

    model: _Named
    seed: int
    filters: list[_Kind] = []
    rationale: _Rationale = _Rationale()


class _Turn(Shape):
    role: str
    content: str


class _Vote(Shape):
    order: str
    outcome: str
    rationale: str | None = None
    reading: str | None = None
    probabilities: dict[str, float] | None


class JudgedRow(Shape):
    """A row of ``kept.jsonl``."""

    id: str
    prompt: str | list[_Turn]
    responses: tuple[str, str]
    label: str | None
    confidence: float | None
    agreement: float | None
    order_flip: bool | None
    rationale: str | None
    swapped: bool = False
    votes: list[_Vote]
    measures: dict[str, float | None] = {}


class DroppedRow(JudgedRow):
    """A row of ``dropped.jsonl``."""

    filter: str
    reason: str
    value: Any
    threshold: Any


class GoldRow(Shape):
    """A row of ``gold.jsonl``."""

    id: str
    label: str | None
    truth: str
    confidence: float | None


class _Gold(Shape):
    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    order_flip_rate: float | None
    coverage: float


class BaselineShape(Shape):
    """A baseline's results in ``baselines.json``, unless it was left out."""

    gold: _Gold
    fitted_on: int


class _LeftOut(Shape):
    left_out: str


class _Longer(Shape):
    longer_response_accuracy: float | None = None


class _Contamination(Shape):
    n: int
    overlapping: int
    found: int
    by_prompt: int
    by_response: int


class DataShape(Shape):
    """``data.json``."""

    gold: _Longer = _Longer()
    contamination: _Contamination | None = None


class WarmupShape(Shape):
    """``warmup/report.json``."""

    examples: int
    tokens: int
    left_out: int
    seconds: float
    before: float | None
    after: float | None
    held_out: int


class LineShape(Shape):
    """A line of ``metrics.jsonl``."""

    round: int
    against_baselines: dict[str, PairedTest] | None = None
    warnings: list[str] | None = None


def config(file: Path) -> Row:
    """``run.yaml``, which an older version may have written."""
    found = read_yaml(file)
    if not file.read_bytes().endswith(b"\n"):
        _damaged(file, "its last line is cut off")
    _check(found, ConfigShape, file, "")
    return dict(found)


def record(file: Path, shape: type[Shape]) -> Row:
    """A file with one object.

    Raises:
        RunError: it is damaged.
    """
    (found,) = _parsed(file, [_text(file)], shape)
    return found


def rows(file: Path, shape: type[Shape]) -> tuple[Row, ...]:
    """A file with an object on each line; none if there is no such file."""
    if not file.is_file():
        return ()
    # Only a line feed ends a line: other separators may be in a text.
    *lines, rest = _text(file).split("\n")
    if rest:
        _damaged(file, "its last line is cut off")
    return _parsed(file, lines, shape)


def baselines(file: Path) -> Row:
    """``baselines.json``, results by name."""
    found = record(file, Shape)
    for name, each in found.items():
        left_out = isinstance(each, dict) and "left_out" in each
        _check(each, _LeftOut if left_out else BaselineShape, file, f"{name}: ")
    return found


def finished_round(folder: Path) -> RoundRecord | None:
    """The record of a round, whose other files are what they were when it ended; None if it has not ended.

    Raises:
        RunError: a file of it is damaged.
    """
    if not (folder / METRICS).is_file():
        return None
    manifest = sealed(folder)
    if manifest is None:
        found = list(contradictions(folder))
    else:
        records = {name: entry for name, entry in manifest.files.items() if name in OF_A_ROUND}
        found = damage(folder, manifest.model_copy(update={"files": records}))
    refuse_damage(folder, [each for each in found if not each.in_model], REMEDY)
    return RoundRecord.read(folder / METRICS)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        _damaged(file, f"it is not UTF-8: {error.reason}")


def _parsed(file: Path, texts: list[str], shape: type[Shape]) -> tuple[Row, ...]:
    found: list[Row] = []
    for number, text in enumerate(texts, 1):
        place = f"line {number}: " if len(texts) > 1 else ""
        try:
            found.append(json.loads(text))
        except (ValueError, RecursionError) as error:
            _damaged(file, f"{place}{reason_of(error)}")
        _check(found[-1], shape, file, place)
    return tuple(found)


def _check(value: object, shape: type[Shape], file: Path, place: str) -> None:
    try:
        shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        _damaged(file, f"{place}{where}: {first['msg']}")


def _damaged(file: Path, what: str) -> NoReturn:
    raise RunError(f"{file} is damaged ({what}): {REMEDY}")
