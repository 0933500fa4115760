"""One evaluation: every item judged, measured, and written to a folder; the same call later reads what is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from gramr2.comparison import LabeledComparison
from gramr2.data.annotations import Labels
from gramr2.errors import ConfigError
from gramr2.evaluation.agreement.alternative import EPSILON
from gramr2.evaluation.agreement.needed import BAR
from gramr2.evaluation.agreement.records import AgreementReport
from gramr2.evaluation.agreement.report import agreement_of
from gramr2.evaluation.log import (
    ANSWERS,
    ITEMS,
    SETS,
    SUMMARY,
    Item,
    Summary,
    item_of,
    items_digest,
    read_log,
    summary_in,
)
from gramr2.evaluation.metrics import evaluate, length_baseline
from gramr2.evaluation.slices import measures
from gramr2.evaluation.without_ties import accuracy_without_ties
from gramr2.hashing import digest_of
from gramr2.journal import address
from gramr2.judging.judge import Judge, Progress, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision

FOLDER = Path("runs") / "eval"
"""where evaluations are by default"""
WHERE = ("device", "engine", "workers", "trust_remote_code")
"""options that say where the judge runs; they change no answer"""
KNOWN = (*WHERE, "prompt")
"""options that the key of an evaluation need not have: a prompt is in it with its texts, whatever its file is called"""


@dataclass(frozen=True)
class Asked:
    """What is evaluated: the benchmark and the model as they were named, the items, and how the judge is asked.

    ``labels`` are what annotators say, by the id of an item, ``notes`` what is missing of them, ``bar`` is the accuracy that
    the labels still needed are about, and ``epsilon`` what the judge may be worse than a person; see
    ``gramr2.evaluation.agreement.report``.
    """

    benchmark: str
    model: str
    items: Sequence[LabeledComparison]
    options: Mapping[str, Any]
    seed: int
    limit: int | None = None
    skipped: Sequence[str] = ()
    labels: Mapping[str, Labels] = field(default_factory=dict)
    notes: Sequence[str] = ()
    bar: float = BAR
    epsilon: float = EPSILON

    @cached_property
    def digest(self) -> str:
        """Of the items with their labels."""
        items = items_digest(self.items)
        several = {name: dict(each) for name, each in self.labels.items() if len(each) > 1}
        return digest_of([items, several]) if several else items

    def key(self, judge: PreferenceModel) -> str:
        """Of everything that the answers depend on."""
        options = {name: value for name, value in self.options.items() if name not in KNOWN}
        return address(judge.id, prompt_digest(judge), self.digest, options, self.seed)

    def folder(self, judge: PreferenceModel) -> Path:
        """Where it is by default: named after what is asked, and told apart by the key."""
        names = (short(each) for each in (self.benchmark, self.model))
        return FOLDER / "-".join((*names, self.key(judge)[:8]))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Decisions of the items in their order, with the seconds that each took."""

    decisions: Sequence[Decision]
    seconds: Sequence[float]


def there(folder: Path, key: str) -> Summary | None:
    """The finished evaluation in a folder, if it is this one; None if there is none, or if some answers failed, which are asked
    for again.

    Raises:
        ConfigError: the folder has another one.
        RunError: what is there cannot be read.
    """
    summary = summary_in(folder)
    if summary is None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--out {folder} is a file: name a folder")
        # What a stop between the files leaves is its own.
        own = (ANSWERS, ITEMS, SETS)
        if folder.is_dir() and any(each.name not in own and each.suffix != ".tmp" for each in folder.iterdir()):
            raise ConfigError(f"--out {folder} has other files: name a new folder")
        return None
    if summary.key != key:
        raise ConfigError(
            f"{folder / SUMMARY} is an evaluation of {summary.model} on {summary.benchmark} with other items or options: name "
            "another folder with --out, or remove this one"
        )
    read_log(folder)
    return summary if finished(summary) else None


def finished(summary: Summary) -> bool:
    """Whether asking again would change nothing: no vote failed for a reason outside the model, and something was decided."""
    outcomes = summary.result.get("outcomes")
    failed = outcomes.get("error") if isinstance(outcomes, dict) else 0
    official = summary.official or {}
    decided = summary.result.get("decided") or official.get("official_coverage")
    return not (failed or official.get("failed")) and bool(decided)


def prompt_digest(judge: PreferenceModel) -> str | None:
    """Of the judge's prompt and of how its verdicts are read; None if it has no prompt, or another process has it."""
    return digest_of(f"{judge.template!r}{judge.template.rules}") if isinstance(judge, Judge) else None


def judge_items(model: PreferenceModel, asked: Asked, progress: Progress | None = None) -> Evaluated:
    """Ask the model for all items."""
    comparisons = [item.comparison for item in asked.items]
    seconds, decided = stopwatch(len(comparisons))
    found = compare_with(model, comparisons, seed=asked.seed, progress=progress, on_decision=decided)
    return Evaluated(found, seconds)


def stopwatch(count: int) -> tuple[list[float], Callable[[int, Decision], None]]:
    """Seconds of so many decisions, each since the one before it, and what to call with each as it comes."""
    seconds, last = [0.0] * count, time.monotonic()

    def decided(index: int, _: Decision) -> None:
        nonlocal last
        now = time.monotonic()
        seconds[index], last = now - last, now

    return seconds, decided


def summarised(asked: Asked, judge: PreferenceModel, found: Evaluated) -> tuple[Summary, list[Item]]:
    """What the folder holds."""
    from gramr2.backends.versions import versions

    result = evaluate(asked.items, found.decisions, asked.seed)
    lines = [
        item_of(item, decision, seconds, asked.labels.get(item.comparison.id))
        for item, decision, seconds in zip(asked.items, found.decisions, found.seconds, strict=True)
    ]
    summary = Summary(
        key=asked.key(judge),
        benchmark=asked.benchmark,
        digest=asked.digest,
        model=asked.model,
        judge=judge.id,
        prompt=prompt_digest(judge),
        options=dict(asked.options),
        seed=asked.seed,
        limit=asked.limit,
        skipped=tuple(asked.skipped),
        versions=versions(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(sum(found.seconds), 3),
        prompt_tokens=sum(line.prompt_tokens for line in lines),
        completion_tokens=sum(line.completion_tokens for line in lines),
        result=asdict(result),
        measures=measures(asked.items, found.decisions) | {"without_ties": asdict(accuracy_without_ties(lines))},
        longer=length_baseline(asked.items) if asked.items else None,
        agreement=_agreement(asked, lines) if lines else None,
    )
    return summary, lines


def measured_again(summary: Summary, asked: Asked, items: Sequence[Item]) -> Summary:
    """The summary of a finished evaluation with its agreement measured at another bar or ε, or at all."""
    there = summary.agreement
    test = there.people.replacing if there and there.people else None
    as_asked = there and there.bar == asked.bar and (test is None or test.epsilon == asked.epsilon)
    return summary if as_asked or not items else summary.model_copy(update={"agreement": _agreement(asked, items)})


def _agreement(asked: Asked, items: Sequence[Item]) -> AgreementReport:
    return agreement_of(items, bar=asked.bar, epsilon=asked.epsilon, seed=asked.seed, notes=asked.notes)


def short(name: str) -> str:
    """The last part of a path or of a hub id, as a part of a folder's name."""
    part = name.rstrip("/").rpartition("/")[2].removesuffix(".jsonl").removesuffix(".json").removesuffix(".parquet")
    return "".join(c if c.isalnum() or c in "._" else "-" for c in part)[:40].strip("-.") or "model"
