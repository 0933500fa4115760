"""``kill -9`` anywhere, then the same command: the same data, byte for byte, and the same metrics as an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data import load_labeled, load_unlabeled
from gramr2.files import write_jsonl
from gramr2.judging.records import comparison_row, labeled_row

HERE = Path(__file__).parent
KILLED = -9

SCRIPTED: dict[str, Any] = {
    "model": "scripted",
    "judge": {"pool": {"votes": 2}},
    "rationale": {"source": "proving", "proving": {"proofs": 2, "min_tokens": 5}},
    "warmup": {"form": "pairs", "held_out_share": 0.2},
    "curriculum": {"per_round": 5, "order": "easy_first"},
    "filters": [
        {"kind": "confidence", "threshold": {"schedule": "quantile", "start": 0.4, "end": 0.0}},
        {"kind": "consistency"},
        {"kind": "rationale"},
        {"kind": "readback"},
        {"kind": "pmi"},
        {"kind": "duplicates"},
        {"kind": "balance"},
    ],
    "guards": {"faithfulness": 3},
    "rounds": 2,
    "final": {},
}
REAL: dict[str, Any] = {
    "model": "tiny-random",
    "judge": {
        "pool": {"votes": 2, "max_new_tokens": 8, "close_on_budget": True},
        "gold": {"max_new_tokens": 8, "close_on_budget": True},
    },
    "training": {"epochs": 1, "min_steps": 0, "learning_rate": 1e-3, "batch_size": 4, "orders": "hashed"},
    "warmup": {"learning_rate": 1e-3, "batch_size": 4, "held_out_share": 0.2},
    "second_view": "frozen-features",
    "curriculum": {"per_round": 4},
    "filters": [
        {"kind": "confidence", "threshold": {"schedule": "quantile", "start": 0.5, "end": 0.0}},
        {"kind": "pmi", "min_pmi": -10},
        {"kind": "balance", "max_ties": 1.0},
    ],
    "guards": {"on_worse": "accept"},
    "rounds": 2,
    "final": {},
}


class Runner:
    """The forking process, and what a finished run leaves."""

    def __init__(self, config: dict[str, Any], base: Path, **environment: str) -> None:
        self.base = base
        file = base / "config.json"
        file.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "crashing.py"), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(base / "stderr.txt").open("w"),
            text=True,
            cwd=HERE,
            # A model this small gains nothing from threads, and spins where they have to share a core.
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        )

    def run(self, folder: Path, kill_at: int = 0, copies: dict[int, Path] | None = None) -> tuple[int, list[str]]:
        """Exit status and the steps that were taken; at those in ``copies`` the folder is copied as a kill would leave it."""
        log = self.base / "steps.txt"
        places = {number: str(place) for number, place in (copies or {}).items()}
        status = self._ask({"folder": str(folder), "kill_at": kill_at, "log": str(log), "copies": places})
        assert status in (0, KILLED), (self.base / "stderr.txt").read_text()[-3000:]
        return status, log.read_text().splitlines()

    def command(self, words: list[str], limit: int | None = None) -> tuple[int, str]:
        """Exit status and standard error of a command that can write no larger file than ``limit``."""
        # A pipe, since the limit holds for a file too.
        errors = self.base / "errors"
        os.mkfifo(errors)
        reading = os.open(errors, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = self._ask({"words": words, "limit": limit, "errors": str(errors)})
            return status, os.read(reading, 1 << 20).decode()
        finally:
            os.close(reading)
            errors.unlink()

    def _ask(self, given: dict[str, Any]) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(given) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def with_data(
    config: dict[str, Any], base: Path, seed: int, pool: int, gold: int, *, bare: bool = False
) -> dict[str, Any]:
    """The config on so many comparisons of the starter set in files, the shortest: each of dozens of runs would read all of it.

    If ``bare``, every second comparison of the seed loses its rationale.
    """

    def size(item: LabeledComparison | Comparison) -> int:
        each = item.comparison if isinstance(item, LabeledComparison) else item
        return len(each.prompt_text) + sum(map(len, each.responses))

    items = sorted(load_labeled("starter:labeled")[0], key=size)[:seed]
    rows = {
        "seed": [labeled_row(replace(e, rationale=None) if bare and i % 2 else e) for i, e in enumerate(items)],
        "pool": [comparison_row(e) for e in sorted(load_unlabeled("starter:unlabeled")[0], key=size)[:pool]],
        "gold": [labeled_row(e) for e in sorted(load_labeled("starter:gold")[0], key=size)[:gold]],
    }
    for part, each in rows.items():
        write_jsonl(base / f"{part}.jsonl", each)
    return config | {"data": {part: str(base / f"{part}.jsonl") for part in rows}}


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Runner]:
    # Half of the seed leaves something to prove before the seed judge.
    config = with_data(SCRIPTED, tmp_path, 24, 12, 6, bare=True)
    config["data"]["held_out_share"] = 0.7
    made = Runner(config, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One for all tests, since its libraries take long to import."""
    base = tmp_path_factory.mktemp("real")
    cache = tmp_path_factory.getbasetemp() / "cache"
    made = Runner(with_data(REAL, base, 8, 8, 4), base, GRAMR2_CACHE=str(cache))
    yield made
    made.close()


def outcome(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run but the journals, whose lines may come in another order, and the time a warm-up took."""
    skip = {".lock", "gramr2_training.json"}
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.name not in skip and "journal" not in f.parts]
    found = {str(f.relative_to(folder)): f.read_bytes() for f in files}
    report = json.loads(found["warmup/report.json"])
    return found | {"warmup/report.json": json.dumps(report | {"seconds": 0}).encode()}


def remains(folder: Path) -> dict[str, bytes]:
    """Every file but those with times."""
    files = [f for f in folder.rglob("*") if f.is_file() and f.name not in ("report.json", "history.jsonl")]
    return {str(f.relative_to(folder)): f.read_bytes() for f in files}


def journals(folder: Path) -> dict[str, Any]:
    """Journal records by key; half-written lines are left out."""
    found: dict[str, Any] = {}
    for file in (folder / "journal").iterdir():
        if file.name == "history.jsonl":
            continue
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            found[record["key"]] = record
    return found


def points(steps: list[str], seed: int) -> list[int]:
    """Kill points: one drawn from every kind of step, whatever its round."""
    rng = random.Random(seed)
    kinds: dict[str, list[int]] = {}
    for number, what in enumerate(steps, 1):
        kinds.setdefault(re.sub(r"rounds/\d+", "rounds/N", what), []).append(number)
    return sorted(rng.choice(numbers) for numbers in kinds.values())


def test_killed_once_at_every_kind_of_step(scripted: Runner, tmp_path: Path) -> None:
    runner = scripted
    status, steps = runner.run(tmp_path / "whole")
    assert status == 0
    expected, known = outcome(tmp_path / "whole"), journals(tmp_path / "whole")
    stages = (
        "answers.jsonl",
        "proving/model",
        "warmup.tmp/model",
        "warmup.tmp/report.json",
        "rounds/0/seed.jsonl",
        "rounds/0/model",
        "slice.json",
        "rounds/1/kept.jsonl",
    )
    stages += (
        "rounds/2/dropped.jsonl",
        "rounds/3/gold.jsonl",
        "rounds/3/metrics.json",
        "metrics.jsonl",
        "baselines/bag-of-words",
        "baselines.json",
        "judge.tmp",
        "data.json",
    )
    for stage in stages:
        assert any(stage in step for step in steps), stage
    chosen = points(steps, seed=1)
    assert len(chosen) >= 60
    # One run leaves what a kill at each of its steps would leave, as is seen where it is killed.
    left = {number: tmp_path / f"k{number}" for number in chosen}
    assert runner.run(tmp_path / "copied", copies=left)[0] == 0
    line = next(number for number in chosen if steps[number - 1].startswith("journal"))
    for number in {line, chosen[len(chosen) // 3], chosen[-1]}:
        killed = tmp_path / f"killed{number}"
        assert runner.run(killed, number)[0] == KILLED, steps[number - 1]
        assert remains(killed) == remains(left[number]), steps[number - 1]
    for number, folder in left.items():
        assert runner.run(folder)[0] == 0, steps[number - 1]
        assert outcome(folder) == expected, steps[number - 1]
        assert journals(folder) == known, steps[number - 1]


@pytest.mark.slow
def test_killed_again_and_again_on_a_real_model(real: Runner, tmp_path: Path) -> None:
    runner = real
    status, steps = runner.run(tmp_path / "whole")
    assert status == 0
    expected, known = outcome(tmp_path / "whole"), journals(tmp_path / "whole")
    assert any("model.safetensors" in name for name in expected)
    # The second view is of the warmed-up backbone, the baseline of the pretrained one; no hidden states are left behind.
    views = [expected[f"{place}/frozen-features/baseline.safetensors"] for place in ("baselines", "views")]
    assert views[0] != views[1]
    assert not any(name.endswith(".sqlite") for name in expected)
    assert any(step.startswith("training step") for step in steps)
    rng = random.Random(2)
    folder, kills, seen = tmp_path / "killed", 0, set()
    # Each attempt repeats at most the stage it died in, so the run gets to its end however often it is killed.
    reach = max(4, len(steps) // 5)
    while True:
        status, taken = runner.run(folder, rng.randint(3, reach) + kills)
        seen.update(step.partition(" ")[2] for step in taken)
        if status == 0:
            break
        kills += 1
        assert kills < 200
    assert kills >= 8
    assert {step.partition(" ")[2] for step in steps} <= seen
    assert outcome(folder) == expected
    assert journals(folder) == known


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(real: Runner, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk's; the error comes from the same places."""
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(with_data(REAL, tmp_path, 8, 8, 4) | {"rounds": 1, "final": None}))
    # The model and its hidden states are in the cache: what is refused here is the run's own.
    status, errors = real.command(["gramr2", "train", str(file), "--out", str(tmp_path / "before"), "--quiet"])
    assert status == 0, errors
    words = ["gramr2", "train", str(file), "--out", str(tmp_path / "r"), "--quiet"]
    for limit in (1_000, 20_000):
        status, errors = real.command(words, limit)
        assert status == 1, errors
        assert errors.strip().splitlines()[-1].startswith("gramr2: "), errors
        assert "File too large" in errors
        assert "Traceback" not in errors
    status, errors = real.command(words)
    assert status == 0, errors
    assert (tmp_path / "r/judge/model.safetensors").exists()
