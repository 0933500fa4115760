"""Typed records of a run: the JSON of its rounds.

Records are read leniently: a key that an older version did not write gets its default, and an unknown key is ignored. Any
other mismatch is an error that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from gramr2.errors import RunError
from gramr2.evaluation.calibration import Calibration
from gramr2.evaluation.faithfulness import Probe
from gramr2.evaluation.metrics import Accuracy, Interval, PairedTest, wilson

VERSION = 1
"""version of the records; records with a higher version are refused"""


class GateResult(StrEnum):
    """The gate's verdict on a round's judge."""

    ACCEPTED = "accepted"
    ROLLED_BACK = "rolled back"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something suspicious about a round: what was measured, and the limit it passed."""

    kind: str
    message: str
    value: float
    limit: float


class Record(BaseModel):
    """A JSON object of a run folder."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    def row(self) -> dict[str, Any]:
        """The record as a JSON object: the values that were set, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def read(cls, file: Path) -> Self:
        """The record in a file.

        Raises:
            RunError: this version cannot read it.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise RunError(f"{file} is damaged ({error.reason}): restore it from a copy") from error
        return cls.of(text, str(file))

    @classmethod
    def of(cls, text: str, where: str) -> Self:
        """The record in a JSON text; ``where`` names it in errors. See ``read``."""
        try:
            found = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise RunError(
                f"{where}: this version of gramr2 cannot read it ({place}: {first['msg']}): continue with the version that wrote "
                "it, or give a new folder with --out"
            ) from error
        if (version := getattr(found, "version", VERSION)) > VERSION:
            raise RunError(f"{where}: a newer gramr2 wrote it (record version {version}): upgrade gramr2")
        return found


class GoldReport(Record):
    """A judge's results on gold: ``Accuracy``, and the accuracy of each reading by itself."""

    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    order_flip_rate: float | None
    coverage: float
    decided: int | None = None
    interval: str = "none"
    accuracy_strict: float | None = None
    vote_coverage: float | None = None
    tie_rate: float | None = None
    first_position_rate: float | None = None
    outcomes: dict[str, int] = {}
    by_category: dict[str, dict[str, float | int | None]] = {}
    readings: dict[str, float] = {}

    @classmethod
    def from_accuracy(cls, accuracy: Accuracy, readings: Mapping[str, float] | None = None) -> GoldReport:
        """The report of these results."""
        values = {key: getattr(accuracy, key) for key in cls.model_fields if key != "readings"}
        return cls(**values | ({} if readings is None else {"readings": dict(readings)}))


class PoolCounts(Record):
    """What happened to the pool: ``dropped`` counts by filter, in the order of the stack."""

    judged: int = 0
    kept: int = 0
    dropped: dict[str, int] = {}


class RationaleCounts(Record):
    """The rationales of the kept comparisons."""

    source: str
    kept: int
    mean_words: float | None


class VoteCounts(Record):
    """What the decisions on the pool took: reasoned votes, of how many at most."""

    cast: int
    most: int
    direct: int
    """comparisons decided by the direct reading alone"""
    audited: int
    """comparisons that were spared votes and were given all of them afterwards"""
    differ: int
    """those of them that all votes decide otherwise"""

    @property
    def interval(self) -> Interval:
        """95 % interval of the share that differs."""
        return wilson(self.differ, self.audited)


class LabellingRecord(Record):
    """``rounds/N/labelling.json``: what a round's filters did."""

    pool: PoolCounts
    labels: dict[str, int]
    """pool decisions by label"""
    thresholds: dict[str, float]
    """thresholds in force, by “filter.field”"""
    calibration: Calibration | None
    rationales: RationaleCounts
    votes: VoteCounts | None = None
    """None if voting never stops early"""


class ReadingsRecord(Record):
    """``rounds/N/readings.json``: which readings the judge's verdict comes from, and why."""

    weights: dict[str, float]
    why: str
    fits: dict[str, Any] | None = None
    kappa: dict[str, float | None] | None = None
    ties: bool = True


class RoundRecord(Record):
    """``rounds/N/metrics.json``, and a line of ``metrics.jsonl``; round 0 is the seed judge."""

    round: int
    stage: Literal["seed", "round", "final"]
    gold: GoldReport
    verdict: GateResult | None = None
    """the gate's verdict; None for the seed judge"""
    change: PairedTest | None = None
    """against the judge before the round"""
    since_seed: PairedTest | None = None
    """against the seed judge"""
    pool: PoolCounts
    labels: dict[str, int] | None = None
    thresholds: dict[str, float] | None = None
    calibration: Calibration | None = None
    rationales: RationaleCounts | None = None
    votes: VoteCounts | None = None
    trained_on: int | None = None
    """number of comparisons, seed and kept together"""
    alarms: list[Alarm] = []
    faithfulness: dict[str, Probe] | None = None
    verdict_read: ReadingsRecord | None = None
    version: int = VERSION
    against_baselines: dict[str, PairedTest] | None = None
    """only in the last round: each baseline against the final judge"""
    warnings: list[str] | None = None
    """only in the last round: what a reader of the results must know first"""
