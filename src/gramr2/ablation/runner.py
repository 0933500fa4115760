"""Runs the cells of an ablation, several at once where the memory allows, and goes on where it was stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramr2.ablation.cell import FAILURE, RESULT, SEED_JUDGES, SPEC
from gramr2.ablation.variants import Prepared, Variant, prepare
from gramr2.config import RunConfig
from gramr2.errors import RunError
from gramr2.selftraining.folder import write_json
from gramr2.selftraining.observer import Observer

BASE_BYTES = 3 << 29
"""what a process with torch in it needs before any model"""
COPIES = 12
"""memory of a training in units of the fp32 weights: weights, gradients, two moments, and as much again for activations"""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the cells: the run that is varied, the variants, the seeds, and the test set."""

    base: RunConfig
    variants: Sequence[Variant]
    seeds: Sequence[int]
    test: str
    limit: int | None = None
    keep_models: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is of an ablation: a result per finished cell, and why others have none."""

    results: list[dict[str, Any]]
    failures: dict[str, str]
    skipped: dict[str, str]


def jobs_that_fit(weights: int, cores: int, memory: int) -> int:
    """Cells to run at once: as many as cores and free memory allow, at least one.

    Args:
        weights: bytes of the model's weights in fp32.
        cores: processors.
        memory: free bytes.
    """
    return max(1, min(cores, memory // (BASE_BYTES + COPIES * weights)))


def run_plan(plan: Plan, out: Path, jobs: int, observer: Observer) -> Outcome:
    """Run what is not finished; a cell that fails leaves its sentence and the others go on.

    Seeds come first: a stopped ablation has whole comparisons for the seeds that are done.

    Raises:
        RunError: the folder holds an ablation of another plan.
    """
    cells: list[Path] = []
    skipped: dict[str, str] = {}
    for seed in plan.seeds:
        for variant in plan.variants:
            prepared = prepare(plan.base, variant, seed)
            if isinstance(prepared, str):
                skipped[variant.name] = prepared
                continue
            folder = out / "cells" / f"{variant.name}-{seed}"
            _adopt(folder, _spec(plan, prepared))
            cells.append(folder)
    waiting = [folder for folder in cells if not (folder / RESULT).exists()]
    with observer.task(f"{len(cells)} cells, {jobs} at once") as progress:
        done = len(cells) - len(waiting)
        progress(done, len(cells))
        running: dict[Path, subprocess.Popen[bytes]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    folder = waiting.pop(0)
                    running[folder] = _start(folder, jobs)
                time.sleep(0.2)
                for folder, process in [*running.items()]:
                    if process.poll() is not None:
                        del running[folder]
                        done += 1
                        progress(done, len(cells))
                        failure = _failure(folder, process.returncode)
                        observer.note(f"{folder.name}: {failure}" if failure else _line(folder))
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()
    finished = [folder for folder in cells if (folder / RESULT).exists()]
    if len(finished) == len(cells) and not plan.keep_models:
        shutil.rmtree(out / SEED_JUDGES, ignore_errors=True)
    results = [json.loads((folder / RESULT).read_text(encoding="utf-8")) for folder in finished]
    failures = {folder.name: _failure(folder, 1) for folder in cells if folder not in finished}
    return Outcome(results, failures, skipped)


def _spec(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    return {
        "variant": prepared.variant.name,
        "kind": prepared.variant.kind.value,
        "shots": prepared.variant.shots,
        "test": plan.test,
        "limit": plan.limit,
        "keep": plan.keep_models,
        "config": prepared.config.model_dump(mode="json"),
    }


def _adopt(folder: Path, spec: dict[str, Any]) -> None:
    file = folder / SPEC
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, spec)
    elif json.loads(file.read_text(encoding="utf-8")) != spec:
        raise RunError(f"{folder} was started with other settings: undo the change or give a new folder with --out")


def _start(folder: Path, jobs: int) -> subprocess.Popen[bytes]:
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    quiet = {
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    environment = {**os.environ, **quiet, "OMP_NUM_THREADS": threads}
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "gramr2.ablation.cell", str(folder)]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _failure(folder: Path, code: int) -> str:
    if code == 0:
        return ""
    sentence = folder / FAILURE
    if sentence.exists():
        return sentence.read_text(encoding="utf-8").strip()
    return f"ended without a result (see {folder / 'log.txt'}); the same command tries it again"


def _line(folder: Path) -> str:
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return f"{folder.name}: {100 * result['accuracy']:.1f} % of {result['n']} in {result['seconds']:.0f} s"
