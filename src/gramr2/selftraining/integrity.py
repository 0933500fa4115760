"""Finished stages are checked before anything of them is used, and made again from the journal where it has all answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from gramr2.errors import RunError
from gramr2.files import json_text, read_jsonl, write_text
from gramr2.selftraining.run import manifest as sealing
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.manifest import (
    DROPPED,
    GOLD,
    KEPT,
    LABELLING,
    METRICS,
    MODEL,
    OF_A_ROUND,
    SLICE,
    Damage,
    damage,
    refuse_damage,
    seal,
    sealed,
    torn_weights,
)
from gramr2.selftraining.run.records import GateResult, LabellingRecord, RoundRecord

_LABELLED = {SLICE, KEPT, DROPPED, LABELLING}
_MAY_DIFFER = {METRICS, LABELLING}
"""records to which another version may add a key"""


def adopt_finished(folder: Path) -> None:
    """Write the manifests of the stages that an older version finished, as far as their files agree with each other.

    Raises:
        RunError: they do not.
    """
    for place in sorted(folder.glob("rounds/*"), key=lambda each: each.name):
        if (place / METRICS).exists() and sealed(place) is None:
            _adopt(place)
    for place in (folder / "warmup", folder / "proving"):
        whole_model(place)


def whole_round(context: RunContext, number: int) -> None:
    """Check a round of an earlier call. What follows from the journal and is damaged is removed, so that it is made again.

    Raises:
        RunError: the round's model is damaged, or the manifest.
    """
    folder = context.folder.round(number)
    manifest = sealed(folder)
    if manifest is None:
        if (folder / METRICS).exists():
            _adopt(folder)
            context.observer.note(
                f"{folder} has no {sealing.FILE}, so what its files were when it ended cannot be checked"
            )
        else:
            _as_many_as_counted(context, folder, number)
        return
    found = damage(folder, manifest)
    refuse_damage(folder, [each for each in found if each.in_model], _remedy(folder))
    names = {each.file for each in found}
    # Metrics alone are missing where the run was killed when the round was all but finished.
    if not names or (names == {METRICS} and not (folder / METRICS).exists()):
        return
    context.observer.note(f"round {number}: {'; '.join(map(str, found))}: made again from the journal")
    for name in names | {METRICS} | ({KEPT} if names & _LABELLED else set()):
        (folder / name).unlink(missing_ok=True)


def whole_model(folder: Path, *, remedy: str = "restore it from a copy, or give a new folder with --out") -> None:
    """Check the model of a stage that is not a round; without a manifest, only that its weights are not cut off.

    Raises:
        RunError: it is damaged.
    """
    if not (folder / MODEL).is_dir():
        return
    manifest = sealed(folder)
    refuse_damage(folder, torn_weights(folder) if manifest is None else damage(folder, manifest), remedy)
    if manifest is None:
        seal(folder)


def finish_round(folder: Path, record: RoundRecord) -> None:
    """Write a round's manifest, then its metrics, which end the round.

    Raises:
        RunError: the round was made again, and is not what it was.
    """
    text = json_text(record.row())
    before, now = sealed(folder), sealing.manifest_of(folder, {METRICS: text})
    if before is not None:
        names = sorted({*before.files, *now.files} - _MAY_DIFFER)
        other = [name for name in names if before.files.get(name) != now.files.get(name)]
        if other:
            raise RunError(
                f"{folder / other[0]} was made again and is not what it was: restore the old one from a copy, or "
                f"{_removal(folder)}"
            )
    sealing.write(folder, now)
    write_text(folder / METRICS, text)


def refuse_missing_judge(model: Path) -> None:
    """Raise a ``RunError`` if the judge to be published was removed."""
    if not model.is_dir():
        raise RunError(f"{model}, the judge in force, is missing: {_remedy(model.parent)}")


def _adopt(folder: Path) -> None:
    refuse_damage(folder, list(contradictions(folder)), _remedy(folder))
    seal(folder)


def contradictions(folder: Path) -> Iterator[Damage]:
    """What is wrong with a finished round without a manifest: files that cannot be read, or are shorter than it says."""
    for name in OF_A_ROUND:
        if not readable(folder / name):
            yield Damage(name, "cannot be read")
            return
    yield from torn_weights(folder)
    record = RoundRecord.read(folder / METRICS)
    counts = {GOLD: record.gold.n if record.verdict is not GateResult.SKIPPED else None}
    if record.stage == "round":
        counts[KEPT] = record.pool.kept
        if (dropped := sum(record.pool.dropped.values())) == record.pool.judged - record.pool.kept:
            counts[DROPPED] = dropped
    for name, count in counts.items():
        if count is None:
            continue
        if not (folder / name).is_file():
            yield Damage(name, "is missing")
        elif (rows := len(read_jsonl(folder / name))) != count:
            yield Damage(name, f"has {rows} rows instead of {count}")


def _as_many_as_counted(context: RunContext, folder: Path, number: int) -> None:
    """Remove the labels of an unfinished round if they are not those that were counted, so that they are made again."""
    names = [name for name in (SLICE, KEPT, DROPPED, LABELLING) if not readable(folder / name)]
    if not names and (folder / KEPT).exists():
        whole = (folder / LABELLING).exists()
        if not whole or LabellingRecord.read(folder / LABELLING).pool.kept != len(read_jsonl(folder / KEPT)):
            names = [KEPT]
    if names:
        context.observer.note(f"round {number}: {', '.join(names)} is damaged: made again from the journal")
    for name in {*names, KEPT} if names else ():
        (folder / name).unlink(missing_ok=True)


def readable(file: Path) -> bool:
    """Whether a file is absent, or holds JSON; rows are objects."""
    try:
        if file.suffix == ".jsonl":
            return not file.exists() or all(isinstance(row, dict) for row in read_jsonl(file))
        if file.exists():
            json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _remedy(folder: Path) -> str:
    return f"restore it from a copy, or {_removal(folder)}"


def _removal(folder: Path) -> str:
    return f"remove {folder} and every later round, which the same command then makes again"
