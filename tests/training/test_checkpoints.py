"""A training that is stopped goes on to the weights that it would have had."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from teaching import ITEMS, weights

from conftest import make
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.config.warmup import WarmupConfig
from gramr2.judging.template import JudgeTemplate
from gramr2.training import checkpoints
from gramr2.training.checkpoints import STATE, latest, mark_of, prepare
from gramr2.training.examples import lessons_from
from gramr2.training.sft import TrainingReport, fine_tune
from gramr2.training.texts import WarmupJob, WarmupReport, hold_out, texts_of
from gramr2.training.warmup import warm_up

MODEL = ModelConfig(name="x", device="cpu")
SETTINGS: dict[str, Any] = {"epochs": 3, "min_steps": 0, "learning_rate": 1e-3, "batch_size": 4, "precision": "float32"}
LORA = {"method": "lora", "learning_rate": 1e-2, "lora": {"dropout": 0.2}}
STOPPING = {"epochs": 6, "early_stop": {"patience": 1}}


class Stopped(Exception):  # noqa: N818
    """In place of a signal, after a step."""


def stop_after(step: int, seen: list[int]) -> Callable[[int, int, float | None], None]:
    def on_step(done: int, total: int, loss: float | None) -> None:
        seen.append(done)
        if done == step:
            raise Stopped

    return on_step


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step, whatever it takes."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", math.inf)


def train(start: Path, into: Path, stop: int = 0, **settings: Any) -> tuple[TrainingReport, list[int]]:
    config = TrainingConfig.model_validate(SETTINGS | settings)
    lessons = lessons_from(ITEMS, "both", 0, direct=True)
    steps: list[int] = []
    report = fine_tune(
        start, into, [*lessons, *lessons][:9], JudgeTemplate(), config, MODEL, seed=3,
        held_out=lessons[1:4] if config.early_stop else (), on_step=stop_after(stop, steps),
    )  # fmt: skip
    return report, steps


def assert_same_files(one: Path, other: Path) -> None:
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("stop", [2, 5, 7], ids=["first pass", "second pass", "a pass ended one step before"])
@pytest.mark.parametrize(
    "settings",
    [{"micro_batch_size": 2}, LORA, STOPPING],
    ids=["two passes a step", "adapters with dropout", "early stop"],
)
def test_a_training_that_goes_on_ends_with_the_weights_of_one_that_was_not_stopped(
    tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], stop: int
) -> None:
    """Nine comparisons are three steps a pass, the last of one comparison."""
    whole, all_steps = train(tiny_model, tmp_path / "whole", **settings)
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", stop, **settings)
    assert not (tmp_path / "m").exists()
    with caplog.at_level(logging.INFO, "gramr2"):
        report, steps = train(tiny_model, tmp_path / "m", **settings)
    # The callback speaks before the checkpoint of its step is written.
    assert f"goes on after step {stop - 1}, from a checkpoint" in caplog.text
    assert steps == all_steps[stop - 1 :]
    assert_same_files(tmp_path / "m", tmp_path / "whole")
    assert (report.steps, report.loss, report.parts) == (
        whole.steps,
        pytest.approx(whole.loss),
        pytest.approx(whole.parts),
    )
    assert report.held_out_losses == whole.held_out_losses
    assert not (tmp_path / "m.tmp").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
def test_seconds_are_those_of_both_parts(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 3)
    kept = latest(tmp_path / "m.tmp")
    assert kept is not None
    state = json.loads((kept / STATE).read_text(encoding="utf-8"))
    state["stateful_callbacks"]["Checkpoints"]["attributes"]["before"] += 1000
    (kept / STATE).write_text(json.dumps(state), encoding="utf-8")
    assert 1000 < train(tiny_model, tmp_path / "m")[0].seconds < 1100


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("change", [{"learning_rate": 2e-3}, {"epochs": 4}])
def test_another_training_begins_anew(tmp_path: Path, tiny_model: Path, change: dict[str, Any]) -> None:
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 3)
    steps = train(tiny_model, tmp_path / "m", **change)[1]
    assert steps[0] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 4)
    (kept,) = (tmp_path / "m.tmp").glob("checkpoint-*")
    cut = shutil.copytree(kept, kept.with_name("checkpoint-9"))
    (cut / STATE).write_text('{"global_step": ', encoding="utf-8")
    assert latest(tmp_path / "m.tmp") == kept
    assert train(tiny_model, tmp_path / "m")[1][0] == 4
    assert not list((tmp_path / "m").glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("cause", ["no room", "a write fails"])
def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cause: str
) -> None:
    whole = train(tiny_model, tmp_path / "whole")[0]
    if cause == "no room":
        monkeypatch.setattr(checkpoints, "BYTES", 1 << 60)
    else:
        real = torch.save

        def full(value: Any, file: Any, *rest: Any, **options: Any) -> None:
            if "optimizer" in str(file):
                raise RuntimeError("file write failed")
            real(value, file, *rest, **options)

        monkeypatch.setattr(torch, "save", full)
    with caplog.at_level(logging.WARNING, "gramr2"):
        report = train(tiny_model, tmp_path / "m")[0]
    assert "training goes on without a checkpoint" in caplog.text
    assert report.loss == whole.loss
    assert_same_files(tmp_path / "m", tmp_path / "whole")


@pytest.mark.slow
def test_a_short_training_writes_none(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 5)
    assert not list((tmp_path / "m.tmp").glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("stop", [3, 7])
def test_a_warm_up_goes_on_too(tmp_path: Path, tiny_model: Path, stop: int) -> None:
    pool = [make(f"c{i}", f"the answer is {i}", f"perhaps it is not {i}") for i in range(12)]
    trained, held = hold_out(texts_of(pool, "responses", 0), 0.25, 0)
    settings = WarmupConfig(epochs=2, learning_rate=3e-3, batch_size=4).applied_to(TrainingConfig())
    job = WarmupJob(trained, held, settings, prompt_loss=True, max_tokens=2048)

    def run(into: Path, at: int = 0) -> tuple[WarmupReport, list[int]]:
        steps: list[int] = []
        return warm_up(tiny_model, into, job, MODEL, seed=1, on_step=stop_after(at, steps)), steps

    whole, all_steps = run(tmp_path / "whole")
    with pytest.raises(Stopped):
        run(tmp_path / "m", stop)
    report, steps = run(tmp_path / "m")
    assert steps == all_steps[stop - 1 :]
    assert_same_files(tmp_path / "m", tmp_path / "whole")
    assert (report.steps, report.before, report.after) == (whole.steps, whole.before, whole.after)


def test_a_scratch_folder_is_kept_for_the_same_training_alone(tmp_path: Path) -> None:
    scratch = tmp_path / "m.tmp"
    prepare(scratch, "one")
    (scratch / "checkpoint-1").mkdir()
    prepare(scratch, "one")
    assert (scratch / "checkpoint-1").exists()
    assert latest(scratch) is None, "it holds no state"
    prepare(scratch, "other")
    assert not (scratch / "checkpoint-1").exists()


def test_a_mark_tells_what_a_training_does() -> None:
    marks = [
        mark_of("m@1", [1, 2], seed=1),
        mark_of("m@2", [1, 2], seed=1),
        mark_of("m@1", [2, 1], seed=1),
        mark_of("m@1", [1, 2], seed=2),
    ]
    assert len({*marks, mark_of("m@1", iter([1, 2]), seed=1)}) == len(marks)
