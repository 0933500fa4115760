"""A training that ``accelerate launch`` shares among processes ends with the weights of one process."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from teaching import ITEMS, apart

from gramr2.config import load_config, parse_config
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import ConfigError, RunError
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import BOTH
from gramr2.selftraining.run.engine import LocalEngine, TrainingJob
from gramr2.training import launch as launching
from gramr2.training import worker
from gramr2.training.batches import BLANK, Collator, Rows
from gramr2.training.job import Job
from gramr2.training.launch import launch
from gramr2.training.objective import Objective
from gramr2.training.parts import filled
from gramr2.training.sft import TrainingReport
from gramr2.training.trainer import Even

POPEN = subprocess.Popen
CONFIGS = Path(__file__).parents[2] / "examples" / "accelerate"
# Seven comparisons in steps of four, some without a rationale: a process is left without a form, or without any comparison.
SEVEN = [
    replace(item, comparison=replace(item.comparison, id=f"{item.comparison.id}-{turn}"))
    for turn in (1, 2)
    for item in ITEMS
][:7]


def job(start: Path, into: Path, **settings: Any) -> Job:
    given = {"epochs": 3, "min_steps": 0, "learning_rate": 1e-3, "batch_size": 4, "precision": "float32"}
    training = TrainingConfig.model_validate(given | settings)
    return Job(start, into, SEVEN, JudgeTemplate(), training, ModelConfig(name="x", device="cpu"), draw=0, seed=3)


def assert_as_one(start: Path, folder: Path, report: TrainingReport, **settings: Any) -> None:
    """The loss of every part and the weights are those of one process."""
    alone = job(start, folder / "one", **settings).run()
    assert (report.steps, report.examples, report.completion_tokens) == (6, 7, alone.completion_tokens)
    assert report.loss == pytest.approx(alone.loss, rel=1e-5)
    assert report.parts == pytest.approx(alone.parts, rel=1e-4)
    assert apart(folder / "two", folder / "one", start) < 1e-3
    assert {each.name for each in (folder / "two").iterdir()} == {each.name for each in (folder / "one").iterdir()}
    assert {each.name for each in folder.iterdir()} == {"one", "two"}


@pytest.fixture(autouse=True)
def _one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_two_processes_that_each_hold_the_model(tmp_path: Path, tiny_model: Path) -> None:
    steps: list[tuple[int, int]] = []
    asked = job(tiny_model, tmp_path / "two", micro_batch_size=1)
    report = launch(asked, CONFIGS / "ddp.yaml", lambda done, total, loss: steps.append((done, total)))
    assert steps == [(number, 6) for number in range(1, 7)]
    assert_as_one(tiny_model, tmp_path, report)


class Stopped(Exception):  # noqa: N818
    """In place of a signal, after a step."""


@pytest.mark.slow
def test_two_processes_that_share_weights_and_are_stopped_on_the_way(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    adapters = {"method": "lora", "learning_rate": 1e-2}
    asked, steps = job(tiny_model, tmp_path / "two", **adapters), []

    def stop(done: int, total: int, loss: float | None) -> None:
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        launch(asked, CONFIGS / "fsdp.yaml", stop, worker="fsdp_on_cpu")
    with caplog.at_level(logging.INFO, "gramr2"):
        report = launch(asked, CONFIGS / "fsdp.yaml", lambda done, *_: steps.append(done), worker="fsdp_on_cpu")
    # A step is told before its checkpoint is written.
    assert steps in ([5, 6], [6])
    held = re.search(r"holds (\d+) of (\d+) weights", caplog.text)
    assert held is not None
    assert 0.4 < int(held[1]) / int(held[2]) < 0.6
    assert_as_one(tiny_model, tmp_path, report, **adapters)


def test_configs_are_those_of_accelerate() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = {file.stem: load_config_from_file(str(file)) for file in CONFIGS.glob("*.yaml")}
    assert {name: str(each.distributed_type) for name, each in found.items()} == {
        "ddp": "DistributedType.MULTI_GPU",
        "fsdp": "DistributedType.FSDP",
        "deepspeed_zero3": "DistributedType.DEEPSPEED",
    }


@pytest.mark.parametrize(
    "template", [ProvingTemplate(("Be kind.",)), JudgeTemplate(JudgeMode.LABEL, ("x",), (ITEMS[0],), BOTH)]
)
def test_a_job_is_read_as_it_was_written(tmp_path: Path, template: JudgeTemplate | ProvingTemplate) -> None:
    written = replace(job(tmp_path, tmp_path / "m"), template=template)
    written.write(tmp_path / "job")
    assert Job.read(tmp_path / "job") == written


def test_a_run_file_names_its_accelerate_config(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"id": "1", "prompt": "q", "responses": ["a", "b"], "label": "A"}
    write(row, name="d.jsonl")
    file = tmp_path / "run.yaml"
    file.write_text(
        "model: tiny-random\nrounds: 0\ndata: {seed: d.jsonl, gold: 'starter:gold'}\ntraining: {accelerate: two.yaml}\n"
    )
    with pytest.raises(ConfigError, match=r"training\.accelerate.* two\.yaml does not exist"):
        load_config(file)
    (tmp_path / "two.yaml").write_text("")
    config = load_config(file)
    assert config.training.accelerate == str(tmp_path / "two.yaml")
    asked: list[tuple[Job, Path]] = []
    monkeypatch.setattr(launching, "launch", lambda job, config, step: asked.append((job, config)))
    engine = LocalEngine(config)
    stage = TrainingJob(ITEMS, JudgeTemplate(), config.training, "round 0")
    engine.train(tmp_path, tmp_path / "m", stage, config.model, lambda done, total: None)
    ((found, named),) = asked
    assert (named, found.items, found.start) == (tmp_path / "two.yaml", ITEMS, tmp_path)


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Start this program in place of accelerate's launcher."""
    monkeypatch.setattr(
        launching.subprocess, "Popen", lambda command, **more: POPEN([sys.executable, "-c", code], **more)
    )


def test_the_reason_of_a_failure_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(
        monkeypatch,
        'print(\'noise\'); print(\'gramr2: {"failure": "ConfigError", "reason": "four by three"}\'); exit(3)',
    )
    with pytest.raises(ConfigError, match="four by three"):
        launch(job(tmp_path, tmp_path / "m"), tmp_path / "two.yaml")
    instead(monkeypatch, "import sys; sys.stderr.write('RuntimeError: no port\\nbye\\n'); exit(1)")
    with pytest.raises(RunError, match=r"two\.yaml\) ended with 1: RuntimeError: no port"):
        launch(job(tmp_path, tmp_path / "m"), tmp_path / "two.yaml")


def test_what_was_launched_ends_with_what_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, time; print('gramr2: {\"step\": [' + str(os.getpid()) + ', 2, null]}', flush=True); time.sleep(60)"
    )
    instead(monkeypatch, code)
    seen: list[int] = []

    def stop(done: int, total: int, loss: float | None) -> None:
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(job(tmp_path, tmp_path / "m"), tmp_path / "two.yaml", stop)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


@pytest.mark.parametrize(("rank", "told"), [("0", 1), ("1", 0)])
def test_the_first_worker_tells_why_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, told: int
) -> None:
    monkeypatch.setenv("RANK", rank)
    job(tmp_path / "no model", tmp_path / "m").write(tmp_path / "job")
    assert worker.main(tmp_path / "job") == worker.FAILED
    lines = [line for line in capsys.readouterr().out.splitlines() if '"failure"' in line]
    assert len(lines) == told
    for line in lines:
        assert json.loads(line.removeprefix(launching.SAYS))["failure"] == "ModelError"


def test_a_step_is_filled_with_blanks() -> None:
    assert [*Even([4, 2, 0], 4)] == [4, 2, 0, BLANK]  # type: ignore[arg-type]
    assert [*Even([4, 2], 2)] == [4, 2]  # type: ignore[arg-type]
    assert Collator(share=False)([Rows([])[BLANK]]) == {"count": 0}


def test_a_pass_without_a_form_costs_a_token_and_changes_nothing(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    loss, parts = Objective(TrainingConfig(), None, 1.0, ("direct", "reasoned"))(model, {"count": 0})
    loss.backward()
    assert (float(loss.detach()), parts) == (0.0, {})
    assert all(float(each.grad.abs().max()) == 0 for each in model.parameters() if each.grad is not None)
    assert all(each.grad is not None for each in model.model.layers.parameters()), "every layer waits for it"


def test_weights_that_are_put_together_are_those_of_the_model() -> None:
    model = torch.nn.Linear(2, 2)
    weights = {name: torch.ones_like(each) for name, each in model.state_dict().items()}
    assert float(filled(model, weights).weight.detach().sum()) == 4
    with pytest.raises(RunError, match="bias"):
        filled(model, {"weight": weights["weight"]})


def test_no_accelerate_is_one_process() -> None:
    config = parse_config({"model": "tiny-random", "data": {"seed": "x.jsonl", "gold": "y.jsonl"}, "rounds": 0}, "test")
    assert config.training.accelerate is None
