"""The run folder: its contents, how a stage becomes final, and who may write to it."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gramr2.backends.registry import former_id
from gramr2.config import RunConfig
from gramr2.config.load import parse_config, read_yaml
from gramr2.errors import ConfigError, RunError
from gramr2.files import link_tree, lock_file, write_json, write_text

DATA = "data"
"""subfolder of a run for comparisons that were passed in memory"""
PLAN = "plan.json"
"""settings that an adaptation, or another folder that is not a run, was started with"""


class RunFolder:
    """Paths and atomic steps of one run.

    ``run.yaml`` resolved config · ``inputs.json`` digests of data and models · ``data.json`` counts ·
    ``journal/answers.jsonl`` requests to models and their answers · ``journal/history.jsonl`` when it was at work ·
    ``warmup/`` {model, report.json, manifest.json} · ``proving/`` {model, manifest.json} · ``rounds/N/`` {slice.json,
    kept.jsonl, dropped.jsonl, labelling.json, model, readings.json, gold.jsonl, manifest.json, metrics.json}, see
    ``run.manifest`` · ``metrics.jsonl`` one line per round, the last one also about the whole run · ``baselines/NAME/``,
    ``baselines.json`` and ``views/NAME/``, see ``selftraining.gate.baselines`` · ``judge/`` the final model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def journal(self) -> Path:
        """Requests to models and their answers."""
        return self.path / "journal" / "answers.jsonl"

    @property
    def old_journals(self) -> list[Path]:
        """Journals of an older version, whose keys differ."""
        names = ("judgments", "proofs", "measures")
        return [file for name in names if (file := self.journal.with_name(f"{name}.jsonl")).exists()]

    @property
    def proving(self) -> Path:
        """The preference-proving model."""
        return self.path / "proving" / "model"

    @property
    def warmup(self) -> Path:
        """The warmed-up backbone, ``model``, and what the warm-up did, ``report.json``."""
        return self.path / "warmup"

    @property
    def views(self) -> Path:
        """Second views fitted on the warmed-up backbone."""
        return self.path / "views"

    @property
    def hidden_states(self) -> Path:
        """The cache of hidden states for these views, kept until the run ends."""
        return self.views / "hidden_states.sqlite"

    @property
    def judge(self) -> Path:
        """The final model."""
        return self.path / "judge"

    def round(self, number: int) -> Path:
        """The folder of a round; 0 is the seed judge."""
        return self.path / "rounds" / str(number)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for this process; the kernel releases the lock when the process ends, however it ends.

        Raises:
            RunError: another process has locked it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = lock_file(self.path / ".lock")
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise RunError(f"{self.path / '.lock'} is a symbolic link, which a lock never is: remove it") from error
            raise RunError(f"{self.path}: cannot be used as a run folder: {error.strerror}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"{self.path}: another process is running this run; wait for it or give another --out"
                ) from error
            yield

    def adopt(self, config: RunConfig) -> None:
        """Write the resolved config, or check that it is the one the folder was started with.

        A key that is missing because an older version wrote the folder counts as its default.

        Raises:
            RunError: the folder belongs to a different config, or is not a run folder; the differing keys are named.
        """
        file = self.path / "run.yaml"
        wanted = self._resolved(config)
        if file.exists():
            try:
                found = self._resolved(config_of(self.path))
            except ConfigError as error:
                raise RunError(
                    f"{self.path} was started by another version of gramr2, or its run.yaml was edited ({error}): "
                    "finish it with that version, or give a new folder with --out"
                ) from error
            changes = list(_differences(found, wanted))
            if changes:
                raise RunError(
                    f"{self.path} was started with another config ({'; '.join(changes[:5])}): "
                    "undo the change or give a new folder with --out"
                )
            return
        # A run that died before its first file was complete leaves at most these two.
        strangers = [each.name for each in self.path.iterdir() if each.name not in (".lock", "run.yaml.tmp")]
        if strangers:
            raise RunError(
                f"{self.path} is not empty and not a run (it contains {strangers[0]!r}): give a new folder with --out"
            )
        write_text(file, yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120))

    def _resolved(self, config: RunConfig) -> dict[str, Any]:
        """All keys that decide results: not the engine, and not the folder's own path in ``out`` and in its data paths, as it may
        be renamed."""
        content: dict[str, Any] = config.model_copy(update={"out": None}).model_dump(mode="json", exclude={"engine"})
        for part in ("seed", "pool", "gold"):
            for source in content["data"][part]:
                path = Path(source["path"])
                if path.parent.resolve() == (self.path / DATA).resolve():
                    source["path"] = f"{DATA}/{path.name}"
        return content

    def remove_members(self) -> None:
        """Remove the members of soups that are finished: a process killed between the two steps leaves them."""
        for members in (*self.path.glob("rounds/*/model.members"), *self.path.glob("proving/model.members")):
            if members.with_name("model").exists():
                shutil.rmtree(members)

    def publish_judge(self, model: Path) -> None:
        """Make a round's model the final judge, with hard links if the file system supports them."""
        if _linked(model, self.judge):
            return
        scratch = self.path / "judge.tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        link_tree(model, scratch)
        shutil.rmtree(self.judge, ignore_errors=True)
        scratch.rename(self.judge)


def _linked(source: Path, target: Path) -> bool:
    """Whether a folder consists of hard links to the files of another; linking them again would only change their times."""
    names, present = ({file.relative_to(place) for file in place.rglob("*")} for place in (source, target))
    return (
        bool(names)
        and names == present
        and all((source / n).samefile(target / n) for n in names if (source / n).is_file())
    )


def config_of(folder: Path) -> RunConfig:
    """The config of a run, with its own data where the folder is now.

    Raises:
        ConfigError: this version cannot read its run.yaml.
    """
    file = folder / "run.yaml"
    config = parse_config(read_yaml(file), str(file))
    parts = {
        part: [each.model_copy(update={"path": _own(folder, each.path)}) for each in getattr(config.data, part)]
        for part in ("seed", "pool", "gold")
    }
    return config.model_copy(update={"data": config.data.model_copy(update=parts)})


def _own(folder: Path, path: str) -> str:
    """The present path of a data file; only files in the run's own data folder move (a user's may have the same name)."""
    own = folder.absolute() / path
    return str(own) if Path(path).parent == Path(DATA) and own.is_file() else path


def adopt_plan(path: Path, plan: dict[str, Any], what: str) -> None:
    """Write ``plan.json``, the settings that decide a folder's results, or check that the folder was started with it.

    Args:
        path: the folder, locked.
        plan: JSON-serialisable values.
        what: what the folder is, such as “an adaptation”.

    Raises:
        RunError: it was started with another plan (the differing keys are named), or it is something else.
    """
    file, plan = path / PLAN, json.loads(json.dumps(plan))
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        changed = [key for key, value in plan.items() if not _same(found.get(key), value)]
        if changed:
            raise RunError(
                f"{path} was started with another {', '.join(changed)}: undo the change or give a new folder with --out"
            )
        return
    strangers = [entry.name for entry in path.iterdir() if entry.name not in (".lock", f"{PLAN}.tmp")]
    if strangers:
        raise RunError(
            f"{path} is not empty and not {what} (it contains {strangers[0]!r}): give a new folder with --out"
        )
    write_json(file, plan)


def _same(found: Any, wanted: Any) -> bool:
    """Whether two settings are equal; the id of a model also equals the one that an earlier version gave it."""
    return bool(found == wanted) or (isinstance(wanted, str) and found == former_id(wanted))


def record_of(path: Path) -> Path | None:
    """The folder of the run or adaptation that a path is, or is the ``judge`` of; None if it is neither."""
    folders = [path] if path.name != "judge" else [path, path.absolute().parent]
    for folder in folders:
        # Any file may be called run.yaml; a run has a journal next to it, and an adaptation its plan.
        run = (folder / "run.yaml").is_file() and (folder / "journal").is_dir()
        if run or ((folder / "adaptation.json").is_file() and (folder / PLAN).is_file()):
            return folder
    return None


def _differences(found: Any, wanted: Any, place: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(k for k in wanted if k not in found)]:
            yield from _differences(found.get(key), wanted.get(key), f"{place}.{key}" if place else str(key))
    elif _split_left_out(found) != _split_left_out(wanted):
        yield f"{place}: {found!r} became {wanted!r}"


def _split_left_out(value: Any) -> Any:
    """A list of data sources in which the split “train” is left out: earlier versions wrote it where none was given."""
    if not isinstance(value, list):
        return value
    return [
        each | {"split": None} if isinstance(each, dict) and "path" in each and each.get("split") == "train" else each
        for each in value
    ]
