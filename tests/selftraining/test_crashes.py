"""``kill -9`` anywhere, then the same command: the same data, byte for byte, and the same metrics as an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gramr2.data import load_labeled
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row

HERE = Path(__file__).parent
KILLED = -9

STARTER = {
    "seed": {"path": "starter:labeled", "limit": 24},
    "pool": {"path": "starter:unlabeled", "limit": 12},
    "gold": {"path": "starter:gold", "limit": 6},
    "held_out_share": 0.7,
}
SCRIPTED: dict[str, Any] = {
    "model": "scripted",
    "data": STARTER,
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
    "data": {
        "seed": {"path": "starter:labeled", "limit": 8},
        "pool": {"path": "starter:unlabeled", "limit": 8},
        "gold": {"path": "starter:gold", "limit": 4},
    },
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

    def __init__(self, config: dict[str, Any], base: Path) -> None:
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
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, folder: Path, kill_at: int = 0) -> tuple[int, list[str]]:
        """Exit status and the steps that were taken."""
        log = self.base / "steps.txt"
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{folder} {kill_at} {log}\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        assert status in (0, KILLED), (self.base / "stderr.txt").read_text()[-3000:]
        return status, log.read_text().splitlines()


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    config = request.param
    if config["model"] == "scripted":
        # Every second seed comparison loses its rationale, so that there is something to prove before the seed judge.
        items = load_labeled("starter:labeled")[0][:24]
        bare = [replace(item, rationale=None) if i % 2 else item for i, item in enumerate(items)]
        write_jsonl(tmp_path / "seed.jsonl", map(labeled_row, bare))
        config = config | {"data": config["data"] | {"seed": str(tmp_path / "seed.jsonl")}}
    made = Runner(config, tmp_path)
    yield made
    assert made.process.stdin
    made.process.stdin.close()
    made.process.wait()


def outcome(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run but the journals, whose lines may come in another order, and the time a warm-up took."""
    skip = {".lock", "gramr2_training.json"}
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.name not in skip and "journal" not in f.parts]
    found = {str(f.relative_to(folder)): f.read_bytes() for f in files}
    report = json.loads(found["warmup/report.json"])
    return found | {"warmup/report.json": json.dumps(report | {"seconds": 0}).encode()}


def journals(folder: Path) -> dict[str, Any]:
    """Journal records by key; half-written lines are left out."""
    found: dict[str, Any] = {}
    for file in (folder / "journal").iterdir():
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            found[record["key"]] = record
    return found


def points(steps: list[str], count: int, seed: int) -> list[int]:
    """Kill points: one drawn from every kind of step, whatever its round, and others at random until there are enough."""
    rng = random.Random(seed)
    kinds: dict[str, list[int]] = {}
    for number, what in enumerate(steps, 1):
        kinds.setdefault(re.sub(r"rounds/\d+", "rounds/N", what), []).append(number)
    chosen = {rng.choice(numbers) for numbers in kinds.values()}
    rest = [n for n in range(1, len(steps) + 1) if n not in chosen]
    return sorted(chosen | set(rng.sample(rest, max(0, min(count - len(chosen), len(rest))))))


@pytest.mark.parametrize("runner", [SCRIPTED], indirect=True, ids=["proving"])
def test_killed_once_at_every_kind_of_step(runner: Runner, tmp_path: Path) -> None:
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
    chosen = points(steps, 60, seed=1)
    assert len(chosen) >= 60
    for number in chosen:
        folder = tmp_path / f"k{number}"
        assert runner.run(folder, number)[0] == KILLED, steps[number - 1]
        assert runner.run(folder)[0] == 0, steps[number - 1]
        assert outcome(folder) == expected, steps[number - 1]
        assert journals(folder) == known, steps[number - 1]


@pytest.mark.slow
@pytest.mark.parametrize("runner", [REAL], indirect=True, ids=["tiny-random"])
def test_killed_again_and_again_on_a_real_model(runner: Runner, tmp_path: Path) -> None:
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
    reach = max(4, len(steps) // 20)
    while True:
        status, taken = runner.run(folder, rng.randint(3, reach) + kills)
        seen.update(step.partition(" ")[2] for step in taken)
        if status == 0:
            break
        kills += 1
        assert kills < 200
    assert kills >= 25
    assert {step.partition(" ")[2] for step in steps} <= seen
    assert outcome(folder) == expected
    assert journals(folder) == known


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk's; the error comes from the same places."""
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(REAL | {"rounds": 1, "final": None}))
    words = [sys.executable, "-m", "gramr2.cli.main", "train", str(file), "--out", str(tmp_path / "r"), "--quiet"]
    for limit in (1_000, 20_000):
        refused = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )
        assert refused.returncode == 1, refused.stderr
        assert refused.stderr.strip().splitlines()[-1].startswith("gramr2: "), refused.stderr
        assert "File too large" in refused.stderr
        assert "Traceback" not in refused.stderr
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r/judge/model.safetensors").exists()
