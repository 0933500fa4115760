"""A step is ``batch_size`` comparisons, whatever the forward passes and processes it is divided into."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from teaching import apart
from transformers import LlamaConfig
from two_processes import train

from gramr2.config.training import TrainingConfig
from gramr2.errors import ConfigError
from gramr2.training.arguments import Division, arguments_for, divided, recomputes, within_memory
from gramr2.training.sft import TrainingReport

SETTINGS: dict[str, Any] = {"epochs": 3, "min_steps": 0, "learning_rate": 1e-3, "batch_size": 4, "precision": "float32"}
ALIKE = 1e-3
"""see ``teaching.apart``"""


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``torchrun`` with two processes has it."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")


def test_one_process_takes_the_step_in_one_pass_unless_told_otherwise() -> None:
    assert divided(TrainingConfig(batch_size=8)) == Division(1, 8, 1)
    assert divided(TrainingConfig(batch_size=8, micro_batch_size=2)) == Division(1, 2, 4)


@pytest.mark.usefixtures("launched")
def test_processes_share_a_step() -> None:
    assert divided(TrainingConfig(batch_size=8)) == Division(2, 4, 1)
    assert divided(TrainingConfig(batch_size=8, micro_batch_size=2)) == Division(2, 2, 2)
    assert divided(TrainingConfig(batch_size=8, micro_batch_size=8)) == Division(2, 4, 1)
    with pytest.raises(ConfigError, match="batch_size 7 cannot be divided among 2 processes"):
        divided(TrainingConfig(batch_size=7))
    with pytest.raises(ConfigError, match="gives each of 2 processes 3 comparisons, which is not a multiple of micro"):
        divided(TrainingConfig(batch_size=6, micro_batch_size=2))


def test_a_number_of_processes_that_nobody_started_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert divided(TrainingConfig(batch_size=7)) == Division(1, 7, 1)


@pytest.mark.parametrize(("held_out", "size"), [(8, 4), (9, 3), (10, 2), (7, 1), (3, 3), (0, 4)])
def test_held_out_batches_are_of_one_size(tmp_path: Path, held_out: int, size: int) -> None:
    """The trainer takes the mean of batches, each counting the same."""
    arguments = arguments_for(
        TrainingConfig(), Division(1, 4, 2), tmp_path, examples=20, held_out=held_out,
        device=torch.device("cpu"), bf16=False, seed=1, name="x",
    )  # fmt: skip
    assert arguments.per_device_eval_batch_size == size
    assert arguments.load_best_model_at_end is (held_out > 0)


@pytest.mark.parametrize(("tokens", "expected"), [(5_000, False), (50_000, True)])
def test_a_gpu_computes_activations_again_where_they_would_not_fit(
    monkeypatch: pytest.MonkeyPatch, tokens: int, expected: bool
) -> None:
    """30 layers of 576 numbers are 1.1 MB a token: 5,000 tokens take less than a quarter of 24 GiB, 50,000 more than all of it."""
    model = SimpleNamespace(config=LlamaConfig(hidden_size=576, num_hidden_layers=30))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (24 << 30, 24 << 30))
    assert recomputes(torch.device("cuda"), model, tokens) is expected
    assert not recomputes(torch.device("cpu"), model, tokens)
    assert recomputes(torch.device("mps"), model, tokens)


@pytest.mark.parametrize(
    ("tokens", "division", "expected"),
    [
        (500, Division(1, 8, 1), Division(1, 8, 1)),
        (1500, Division(1, 8, 1), Division(1, 4, 2)),
        (1500, Division(1, 6, 1), Division(1, 3, 2)),
        # Each process would find another number.
        (1500, Division(2, 8, 1), Division(2, 8, 1)),
        (100_000, Division(1, 8, 1), Division(1, 1, 8)),
    ],
)
def test_a_cpu_takes_smaller_passes_where_a_step_would_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tokens: int,
    division: Division,
    expected: Division,
) -> None:
    """A token takes 1.4 MB here: of 20 GiB, 40 % hold 6,200."""
    model = SimpleNamespace(config=LlamaConfig(hidden_size=576, num_hidden_layers=30))
    monkeypatch.setattr("gramr2.training.arguments.free_memory", lambda: 20 << 30)
    cpu, config = torch.device("cpu"), TrainingConfig(batch_size=24)
    with caplog.at_level(logging.INFO, "gramr2"):
        assert within_memory(division, config, cpu, model, tokens) == expected
    assert ("passes of" in caplog.text) is (expected != division)
    assert ("one comparison of 100000 tokens may take" in caplog.text) is (tokens == 100_000)
    assert within_memory(division, config, torch.device("cuda"), model, tokens) == division
    told = TrainingConfig(batch_size=24, micro_batch_size=8)
    assert within_memory(division, told, cpu, model, tokens) == division
    unknown = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda decoder: SimpleNamespace(d_model=576)))
    assert within_memory(division, config, cpu, unknown, tokens) == division


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingReport]:
    """Each step in one pass of one process."""
    into = tmp_path_factory.mktemp("whole") / "m"
    return into, train(tiny_model, into, SETTINGS)[0]


@pytest.mark.slow
@pytest.mark.parametrize("micro", [1, 2])
def test_passes_of_a_step_add_up(
    tmp_path: Path, tiny_model: Path, whole: tuple[Path, TrainingReport], micro: int
) -> None:
    report, steps = train(tiny_model, tmp_path / "m", SETTINGS | {"micro_batch_size": micro})
    assert_same(tmp_path / "m", report, whole, tiny_model)
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_passes_of_a_last_step_that_is_not_full_weigh_by_their_comparisons(tmp_path: Path, tiny_model: Path) -> None:
    """Of seven comparisons in steps of four the last has three, in passes of two and of one."""
    one, _ = train(tiny_model, tmp_path / "4", SETTINGS, count=7)
    two, _ = train(tiny_model, tmp_path / "2", SETTINGS | {"micro_batch_size": 2}, count=7)
    assert one.steps == 6
    assert_same(tmp_path / "2", two, (tmp_path / "4", one), tiny_model)


def assert_same(folder: Path, report: TrainingReport, reference: tuple[Path, TrainingReport], start: Path) -> None:
    before = reference[1]
    assert (report.steps, report.completion_tokens) == (before.steps, before.completion_tokens)
    assert report.loss == pytest.approx(before.loss, rel=1e-4)
    assert report.parts == pytest.approx(before.parts, rel=1e-3)
    assert report.held_out_losses == pytest.approx(before.held_out_losses, rel=1e-3)
    assert apart(folder, reference[0], start) < ALIKE


def launch(start: Path, trainings: dict[str, dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine, of which one is killed after the step ``stop`` of a training that has it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = str(Path(__file__).with_name("two_processes.py"))
    running = subprocess.Popen(
        [*command, script, str(start), json.dumps(trainings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        out, errors = running.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        # Politely, so that the launcher ends its processes.
        running.terminate()
        out, errors = running.communicate(timeout=60)
    return subprocess.CompletedProcess(command, running.returncode, out, errors)


EARLY = SETTINGS | {"epochs": 6, "method": "lora", "learning_rate": 1e-2, "early_stop": {"patience": 1}}


@dataclass(frozen=True)
class Told:
    """What one of two processes says of a training."""

    training: str
    report: TrainingReport
    steps: list[int]


@pytest.fixture(scope="module")
def by_two(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Told]]:
    """The folder of two trainings, and what was told of them: the first was killed, and the same command goes on with both."""
    folder = tmp_path_factory.mktemp("two")
    killed = {"into": str(folder / "whole"), "settings": SETTINGS | {"micro_batch_size": 1}}
    early = {"into": str(folder / "early"), "settings": EARLY}
    assert launch(tiny_model, {"whole": killed | {"stop": 4}, "early": early}).returncode
    assert not (folder / "whole").exists()
    done = launch(tiny_model, {"whole": killed, "early": early})
    assert done.returncode == 0, done.stderr[-3000:]
    told = []
    for line in done.stdout.splitlines():
        if line.startswith('["'):
            name, fields, steps = json.loads(line)
            report = TrainingReport(**fields | {"held_out_losses": tuple(fields["held_out_losses"])})
            told.append(Told(name, report, steps))
    return folder, told


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(
    tiny_model: Path, whole: tuple[Path, TrainingReport], by_two: tuple[Path, list[Told]]
) -> None:
    """One of them is killed on the way, and the same command goes on from the checkpoint before."""
    folder, told = by_two[0], [each for each in by_two[1] if each.training == "whole"]
    assert sorted(each.steps for each in told) == [[], [4, 5, 6]], "one process reports progress"
    for each in told:
        assert_same(folder / "whole", each.report, whole, tiny_model)
    assert {path.name for path in folder.iterdir()} == {"whole", "early"}


@pytest.mark.slow
def test_two_processes_stop_early_as_one_does(
    tmp_path: Path, tiny_model: Path, by_two: tuple[Path, list[Told]]
) -> None:
    alone, _ = train(tiny_model, tmp_path / "one", EARLY)
    two = by_two[0] / "early"
    report = next(each.report for each in by_two[1] if each.training == "early")
    assert report.held_out_losses == pytest.approx(alone.held_out_losses, rel=1e-2)
    assert apart(two, tmp_path / "one", tiny_model) < 0.05
    assert {path.name for path in two.iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}


@pytest.mark.usefixtures("launched")
def test_what_processes_cannot_share_is_refused_before_anything_is_written(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size 3 cannot be divided among 2 processes"):
        train(tiny_model, tmp_path / "m", SETTINGS | {"batch_size": 3})
    assert not list(tmp_path.iterdir())
