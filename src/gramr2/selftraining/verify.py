"""Everything in a run folder that can be checked, read in full; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gramr2.backends.digests import file_digest
from gramr2.backends.registry import resolve_offline
from gramr2.config import RunConfig
from gramr2.config.training import ModelConfig
from gramr2.errors import ConfigError, GramrError, ModelError, RunError, reason_of
from gramr2.journal import scan
from gramr2.judging.judge import Progress
from gramr2.selftraining.integrity import readable
from gramr2.selftraining.run import inputs
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.folder import RunFolder, config_of
from gramr2.selftraining.run.inputs import Inputs
from gramr2.selftraining.run.manifest import METRICS, MODEL, Manifest, damage, sealed, torn_weights

MB = 1_000_000
_RECORDS = ("data.json", "baselines.json", "metrics.jsonl")


class State(StrEnum):
    """What a check found; ``UNCHECKED`` is what has no digest, or whose digest cannot be compared here."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    CHANGED = "changed"
    UNCHECKED = "unchecked"
    UNFINISHED = "unfinished"

    @property
    def bad(self) -> bool:
        """Whether the run should not go on like this."""
        return self in (State.DAMAGED, State.CHANGED)


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of a part of a run, and the reason."""

    place: str
    state: State
    why: str = ""


def verify(path: Path, progress: Progress | None = None) -> list[Finding]:
    """Check a run: its config, its inputs where they can be read, its journal, its finished stages and its judge.

    Args:
        path: the run's folder.
        progress: told (MB, total) of the run's files as they are checked.

    Raises:
        RunError: the folder is not a run.
    """
    if not (path / "run.yaml").exists() and not (path / "rounds").is_dir():
        raise RunError(f"{path} is not a run folder: it has no run.yaml; give the folder that gramr2 train wrote")
    folder = RunFolder(path)
    parts: list[tuple[Iterable[Finding], int]] = [
        (_config(path), 0),
        (_journal(folder), _size(folder.journal)),
        *((_stage(folder, each), _size(each)) for each in _parts(folder)),
        (_judge(folder), _size(folder.judge)),
        (_records(path), 0),
    ]
    total, done = sum(size for _, size in parts), 0
    found: list[Finding] = []
    for part, size in parts:
        found += part
        done += size
        if progress is not None:
            progress(done // MB, total // MB)
    return found


def _size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = place.rglob("*") if place.is_dir() else (place,)
    return sum(each.stat().st_size for each in files if each.is_file())


def _config(path: Path) -> Iterator[Finding]:
    try:
        config = config_of(path)
    except (ConfigError, OSError) as error:
        yield Finding("run.yaml", State.DAMAGED, reason_of(error))
        return
    yield Finding("run.yaml", State.WHOLE)
    yield from _inputs(path, config)


def _inputs(path: Path, config: RunConfig) -> Iterator[Finding]:
    file = path / inputs.FILE
    if not file.exists():
        yield Finding("inputs", State.UNCHECKED, "an older version started the run and recorded no digests")
        return
    absent: list[str] = []

    def backbone(model: ModelConfig) -> Path:
        try:
            return resolve_offline(model.name, revision=model.revision)
        except ModelError as error:
            absent.append(reason_of(error))
            return path / "absent"

    try:
        recorded = Inputs.read(file)
    except RunError as error:
        yield Finding("inputs", State.DAMAGED, reason_of(error))
        return
    try:
        now = Inputs.present(config, load_data(config), backbone)
    except (GramrError, OSError) as error:
        # The data are elsewhere, as on the hub, or need a package that is not here: that is no damage of the run.
        yield Finding("inputs", State.UNCHECKED, f"cannot be compared here: {reason_of(error)}")
        return
    if absent:
        yield Finding("models", State.UNCHECKED, "; ".join(absent))
        # What is absent has no files here.
        now = now.model_copy(update={"models": {p: d or recorded.models.get(p, {}) for p, d in now.models.items()}})
    changes = recorded.changes(now)
    yield Finding("inputs", State.CHANGED if changes else State.WHOLE, "; ".join(changes))


def _journal(folder: RunFolder) -> Iterator[Finding]:
    if not folder.journal.is_file():
        return
    place, found = "journal", scan(folder.journal)
    said = [_count(len(found.places), "answer")]
    if found.damaged:
        # No harm: a kill tears a line for good, and its request is repeated.
        said.append(
            f"{_count(found.damaged, 'damaged line')} ignored, whose requests are repeated where they are needed"
        )
    if found.unchecked:
        said.append(f"{_count(found.unchecked, 'line')} without a checksum")
    yield Finding(place, State.UNCHECKED if found.unchecked else State.WHOLE, "; ".join(said))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _parts(folder: RunFolder) -> list[Path]:
    """The folders of stages that there are."""
    return [each for each in (folder.warmup, folder.proving.parent, *_rounds(folder)) if each.is_dir()]


def _stage(folder: RunFolder, stage: Path) -> Iterator[Finding]:
    place = str(stage.relative_to(folder.path))
    try:
        manifest = sealed(stage)
    except RunError as error:
        yield Finding(place, State.DAMAGED, reason_of(error))
        return
    # The round's metrics are its last file.
    ended = (stage / METRICS).exists() if stage.parent.name == "rounds" else (stage / MODEL).is_dir()
    if manifest is None and torn_weights(stage):
        yield Finding(place, State.DAMAGED, "; ".join(map(str, torn_weights(stage))))
    elif manifest is None or not ended:
        state = State.UNCHECKED if ended else State.UNFINISHED
        yield Finding(place, state, "an older version finished it and wrote no manifest" if ended else "")
    else:
        found = damage(stage, manifest, afresh=True)
        removed = any(name.startswith(f"{MODEL}/") for name in manifest.files) and not (stage / MODEL).exists()
        why = "; ".join(map(str, found)) or ("its model was removed" if removed else "")
        yield Finding(place, State.DAMAGED if found else State.WHOLE, why)


def _rounds(folder: RunFolder) -> list[Path]:
    return sorted(
        (each for each in folder.path.glob("rounds/*") if each.name.isdigit()), key=lambda each: int(each.name)
    )


def _judge(folder: RunFolder) -> Iterator[Finding]:
    """The judge is the model of a round."""
    if not folder.judge.is_dir():
        yield Finding("judge", State.UNFINISHED)
        return
    manifests: list[Manifest] = []
    for stage in _rounds(folder):
        try:
            manifests += [found] if (found := sealed(stage)) else []
        except RunError:
            continue
    if not manifests:
        yield Finding("judge", State.UNCHECKED, "no round has a manifest")
        return
    models = [{n: e.sha256 for n, e in found.files.items() if n.startswith(f"{MODEL}/")} for found in manifests]
    names = {name for model in models for name in model}
    judge = folder.judge
    present = {
        n: file_digest(judge / n.removeprefix(f"{MODEL}/"))
        for n in names
        if (judge / n.removeprefix(f"{MODEL}/")).is_file()
    }
    whole = any(model and model == present for model in models)
    yield Finding("judge", State.WHOLE if whole else State.DAMAGED, "" if whole else "it is the model of no round")


def _records(path: Path) -> Iterator[Finding]:
    for name in _RECORDS:
        if (path / name).exists() and not readable(path / name):
            yield Finding(name, State.DAMAGED, "it cannot be read; the same command writes it again")
