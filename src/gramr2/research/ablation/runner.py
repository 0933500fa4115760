"""Runs the cells of an ablation, several at once if memory allows, and resumes after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gramr2.backends.memory import free_memory
from gramr2.backends.registry import fingerprint, former_id, resolve, weights_in_fp32
from gramr2.config import RunConfig, parse_config
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError, RunError
from gramr2.files import write_json
from gramr2.hashing import digest_of
from gramr2.judging.records import comparison_row, labeled_row
from gramr2.research.ablation.cell import FAILURE, RESULT, SEED_JUDGES, SPEC, TEST, test_set
from gramr2.research.ablation.marks import MARKS, read_marks
from gramr2.research.ablation.variants import Prepared, Variant, prepare
from gramr2.selftraining.run.observer import Observer
from gramr2.selftraining.run.sources import read_labeled, read_unlabeled

BASE_BYTES = 3 << 29
"""memory of a process that has loaded torch, before any model"""
COPIES = 12
"""memory of training in units of the fp32 weights: four of weights, gradients and two moments; twice that for activations"""


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """Everything that decides the cells: the run that is varied, the variants, the seeds, and the test set."""

    base: RunConfig
    variants: Sequence[Variant]
    seeds: Sequence[int]
    test: str
    limit: int | None = None
    keep_models: bool = False
    fewer: Mapping[str, int] = field(default_factory=dict)
    """variants that run only the first N seeds"""

    @property
    def cells(self) -> Iterator[tuple[int, Variant]]:
        """Seed by seed, so that an interrupted ablation has all variants for the seeds that are done."""
        for index, seed in enumerate(self.seeds):
            for variant in self.variants:
                if index < self.fewer.get(variant.name, len(self.seeds)):
                    yield seed, variant


@dataclass(frozen=True, slots=True)
class AblationOutcome:
    """The state of an ablation: a result per finished cell, why others have none, and how many have not been run yet."""

    results: list[dict[str, Any]]
    failures: dict[str, str]
    skipped: dict[str, str]
    unfinished: int


def jobs_that_fit(weights: int, cores: int, memory: int) -> int:
    """Cells to run at once: as many as cores and free memory allow, at least one.

    Args:
        weights: bytes of the model's weights in fp32.
        cores: processors.
        memory: free bytes.
    """
    return max(1, min(cores, memory // (BASE_BYTES + COPIES * weights)))


def default_jobs(base: RunConfig) -> int:
    """How many cells of this run to run at once: as many as fit."""
    weights = weights_in_fp32(resolve(base.model.name, revision=base.model.revision))
    return jobs_that_fit(weights, os.cpu_count() or 1, free_memory())


def run_plan(
    plan: AblationPlan,
    out: Path,
    jobs: int,
    observer: Observer,
    on_outcome: Callable[[AblationOutcome], object] | None = None,
) -> AblationOutcome:
    """Run the unfinished cells; if one fails, its error is recorded and the others continue.

    ``on_outcome`` is called with the state after every cell, so that an interrupted ablation has its tables too.

    Raises:
        RunError: the folder holds an ablation with another plan, data or model.
    """
    cells: list[Path] = []
    skipped: dict[str, str] = {}
    fixed = stands_for(plan.base) | {
        "test_digest": digest_of([labeled_row(item) for item in test_set(plan.test, plan.limit)])
    }
    for seed, variant in plan.cells:
        prepared = prepare(plan.base, variant, seed)
        if isinstance(prepared, str):
            skipped[variant.name] = prepared
            continue
        folder = out / "cells" / f"{variant.name}-{seed}"
        _adopt(folder, _spec(plan, prepared, jobs) | fixed)
        cells.append(folder)
    waiting = [folder for folder in cells if not (folder / RESULT).exists()]
    failures: dict[str, str] = {}
    with observer.task(f"{len(cells)} cells, {jobs} at once") as progress:
        done = len(cells) - len(waiting)
        progress(done, len(cells))
        running: dict[Path, subprocess.Popen[bytes]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    folder = waiting.pop(0)
                    running[folder] = _start(folder)
                time.sleep(0.2)
                for folder, process in [*running.items()]:
                    if process.poll() is not None:
                        del running[folder]
                        done += 1
                        progress(done, len(cells))
                        failure = _failure(folder, process.returncode)
                        observer.note(f"{folder.name}: {failure}" if failure else _line(folder))
                        if failure:
                            failures[folder.name] = failure
                        elif on_outcome:
                            on_outcome(_outcome(plan, cells, failures, skipped))
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()
    outcome = _outcome(plan, cells, failures, skipped)
    if not outcome.failures and not plan.keep_models:
        shutil.rmtree(out / SEED_JUDGES, ignore_errors=True)
    return outcome


def _outcome(
    plan: AblationPlan, cells: Sequence[Path], failures: dict[str, str], skipped: dict[str, str]
) -> AblationOutcome:
    """The state so far, sorted by variant and seed."""
    order = [each.name for each in plan.variants]
    finished = [folder for folder in cells if (folder / RESULT).exists()]
    results = [_result(folder) for folder in finished]
    results.sort(key=lambda each: (order.index(each["variant"]), each["seed"]))
    return AblationOutcome(results, failures, skipped, len(cells) - len(finished) - len(failures))


def _result(folder: Path) -> dict[str, Any]:
    """A finished cell's result, with its marks."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result | {MARKS: read_marks(folder / TEST)}


def stands_for(base: RunConfig) -> dict[str, str]:
    """Digests of the model and data that a run file names: other content under the same name gives other results."""
    policy = OnBadRow(base.data.on_bad_row)
    labelled = [*base.data.seed, *base.data.gold, *base.rationale.proving.data]
    labelled += base.final.data if base.final else []
    known = [[labeled_row(item) for item in read_labeled(each, policy)[0]] for each in labelled]
    pool = [[comparison_row(item) for item in read_unlabeled(each, policy)[0]] for each in base.data.pool]
    return {
        "weights": fingerprint(resolve(base.model.name, revision=base.model.revision)),
        "data_digest": digest_of([known, pool]),
    }


def _spec(plan: AblationPlan, prepared: Prepared, jobs: int) -> dict[str, Any]:
    return {
        "variant": prepared.variant.name,
        "kind": prepared.variant.kind.value,
        "shots": prepared.variant.shots,
        "baseline": prepared.variant.baseline,
        "test": plan.test,
        "limit": plan.limit,
        "keep": plan.keep_models,
        # The last digits depend on the number of threads, so a resumed cell keeps the number it was started with.
        "threads": max(1, (os.cpu_count() or 1) // jobs),
        "config": prepared.config.model_dump(mode="json"),
    }


def _adopt(folder: Path, spec: dict[str, Any]) -> None:
    file = folder / SPEC
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        spec = spec | {"threads": found.get("threads")}
        try:
            # What an older version wrote may have other names, and lacks what has come since.
            if "config" in found:
                found["config"] = parse_config(found["config"], str(file)).model_dump(mode="json")
        except ConfigError as error:
            raise RunError(
                f"{folder} was started by another version of gramr2 ({error}): finish it with that version, or give a new "
                "folder with --out"
            ) from error
        if "weights" in spec and found.get("weights") == former_id(spec["weights"]):
            found["weights"] = spec["weights"]
        known, wanted = _decisive(found), _decisive(spec)
        changed = sorted(key for key in wanted.keys() | known.keys() if wanted.get(key) != known.get(key))
        if changed:
            raise RunError(
                f"{folder} was started with other settings ({', '.join(changed)}): undo the change or give a new folder with "
                "--out"
            )
    write_json(file, spec)


def _decisive(spec: dict[str, Any]) -> dict[str, Any]:
    """What decides a cell's result: where its models run does not."""
    settings = {key: value for key, value in spec.items() if key != "keep"}
    if "config" in settings:
        settings["config"] = {key: value for key, value in settings["config"].items() if key != "engine"}
    return settings


def _start(folder: Path) -> subprocess.Popen[bytes]:
    threads = str(json.loads((folder / SPEC).read_text(encoding="utf-8"))["threads"])
    # Remove the error of an earlier attempt.
    (folder / FAILURE).unlink(missing_ok=True)
    quiet = {
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    environment = {**os.environ, **quiet, "OMP_NUM_THREADS": threads}
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "gramr2.research.ablation.cell", str(folder)]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _failure(folder: Path, code: int) -> str:
    if code == 0 or (folder / RESULT).exists():
        return ""
    sentence = folder / FAILURE
    if sentence.exists():
        return sentence.read_text(encoding="utf-8").strip()
    return f"ended without a result (see {folder / 'log.txt'}); run the same command to try again"


def _line(folder: Path) -> str:
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return f"{folder.name}: {100 * result['accuracy']:.1f} % of {result['n']} in {result['seconds']:.0f} s"
