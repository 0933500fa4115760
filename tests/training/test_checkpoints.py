"""A training that is stopped goes on to the weights that it would have had."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from teaching import ITEMS, weights

from conftest import make
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.config.warmup import WarmupConfig
from gramr2.errors import RunError
from gramr2.judging.template import JudgeTemplate
from gramr2.training import checkpoints, sft
from gramr2.training.checkpoints import STATE, latest, mark_of, prepare
from gramr2.training.examples import training_examples
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
    examples = training_examples(ITEMS, "both", 0, direct=True)
    steps: list[int] = []
    report = fine_tune(
        start, into, [*examples, *examples][:9], JudgeTemplate(), config, MODEL, seed=3,
        held_out=examples[1:4] if config.early_stop else (), on_step=stop_after(stop, steps),
    )  # fmt: skip
    return report, steps


class Wholes:
    """Trainings that were not stopped, each made once, with or without checkpoints: they do not change the weights."""

    def __init__(self, start: Path, base: Path) -> None:
        self.start, self.base = start, base
        self.made: dict[str, tuple[Path, TrainingReport, list[int]]] = {}

    def __call__(self, **settings: Any) -> tuple[Path, TrainingReport, list[int]]:
        """The folder, the report, and the steps that were told."""
        name = json.dumps(settings, sort_keys=True)
        if name not in self.made:
            into = self.base / f"whole{len(self.made)}"
            self.made[name] = (into, *train(self.start, into, **settings))
        return self.made[name]


@pytest.fixture(scope="module")
def wholes(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Wholes:
    return Wholes(tiny_model, tmp_path_factory.mktemp("wholes"))


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
    tmp_path: Path,
    tiny_model: Path,
    wholes: Wholes,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    stop: int,
) -> None:
    """Nine comparisons are three steps a pass, the last of one comparison."""
    folder, whole, all_steps = wholes(**settings)
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", stop, **settings)
    assert not (tmp_path / "m").exists()
    with caplog.at_level(logging.INFO, "gramr2"):
        report, steps = train(tiny_model, tmp_path / "m", **settings)
    # The callback speaks before the checkpoint of its step is written.
    assert f"resumes after step {stop - 1}, from a checkpoint" in caplog.text
    assert steps == all_steps[stop - 1 :]
    assert_same_files(tmp_path / "m", folder)
    assert (report.steps, report.loss, report.parts) == (
        whole.steps,
        pytest.approx(whole.loss),
        pytest.approx(whole.parts),
    )
    assert report.held_out_losses == whole.held_out_losses
    assert not (tmp_path / "m.tmp").exists()


@pytest.mark.slow
@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("saving", [False, True])
def test_a_training_that_early_stopping_has_ended_ends_with_the_same_weights(
    tmp_path: Path, tiny_model: Path, wholes: Wholes, renamed: bool, saving: bool
) -> None:
    """It was stopped before the best weights were taken or while they were written, in a run folder that may have another
    name by now."""
    settings = {"epochs": 20, "early_stop": {"patience": 1}, "learning_rate": 3e-2}
    folder, whole, all_steps = wholes(**settings)
    assert len(all_steps) < 60, "early stopping ended it"

    def stop(*_: Any) -> None:
        raise Stopped

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(*((sft, "_save", stop) if saving else (sft.JudgeTrainer, "_finalize_training", stop)))
        train(tiny_model, tmp_path / "a" / "m", **settings)
    if renamed:
        (tmp_path / "a").rename(tmp_path / "b")
    into = tmp_path / ("b" if renamed else "a") / "m"
    report, steps = train(tiny_model, into, **settings)
    # The trainer keeps the best epoch alone at its end, and makes those after it once more.
    assert bool(steps) is saving
    assert_same_files(into, folder)
    assert report.held_out_losses == whole.held_out_losses
    assert (report.steps, report.parts) == (whole.steps, pytest.approx(whole.parts))


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
def test_no_checkpoint_stands_between_an_epoch_and_its_evaluation(
    tmp_path: Path, tiny_model: Path, wholes: Wholes
) -> None:
    folder, whole, _ = wholes(**STOPPING)
    real = sft.JudgeTrainer.prediction_step
    asked: list[int] = []

    def stopped(*given: Any, **named: Any) -> Any:
        asked.append(1)
        if len(asked) == 2 * 3:
            raise Stopped  # in the second epoch's evaluation
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(sft.JudgeTrainer, "prediction_step", stopped)
        train(tiny_model, tmp_path / "m", **STOPPING)
    report = train(tiny_model, tmp_path / "m", **STOPPING)[0]
    assert report.held_out_losses == whole.held_out_losses
    assert_same_files(tmp_path / "m", folder)


@pytest.mark.slow
def test_early_stopping_without_room_keeps_the_weights_alone(
    tmp_path: Path, tiny_model: Path, wholes: Wholes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole, _ = wholes(**STOPPING)
    monkeypatch.setattr(checkpoints, "BYTES", 1 << 60)
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 5, **STOPPING)
    assert list((tmp_path / "m.tmp").glob("checkpoint-*"))
    assert latest(tmp_path / "m.tmp") is None, "nothing to go on from"
    report, steps = train(tiny_model, tmp_path / "m", **STOPPING)
    assert (steps[0], report.held_out_losses) == (1, whole.held_out_losses)
    assert_same_files(tmp_path / "m", folder)


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_a_damaged_checkpoint_is_removed_and_the_next_start_begins_anew(
    tmp_path: Path, tiny_model: Path, name: str
) -> None:
    with pytest.raises(Stopped):
        train(tiny_model, tmp_path / "m", 4)
    kept = latest(tmp_path / "m.tmp")
    assert kept is not None
    (kept / name).write_bytes((kept / name).read_bytes()[:100])
    with pytest.raises(RunError, match="is damaged and removed .*the same command starts the training over"):
        train(tiny_model, tmp_path / "m")
    assert train(tiny_model, tmp_path / "m")[1][0] == 1


def test_a_slow_disk_has_fewer_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    clock = checkpoints.Checkpoints()
    clock.cost = 30.0
    arguments = SimpleNamespace(eval_strategy="no", process_index=0, world_size=1, output_dir=str(tmp_path))
    model = SimpleNamespace(parameters=lambda: [])

    def asks(at: float) -> bool:
        now[0] = at
        control = SimpleNamespace(should_save=False)
        clock.on_step_end(arguments, SimpleNamespace(global_step=1, max_steps=9), control, model=model)
        return bool(control.should_save)

    assert [asks(at) for at in (601, 1499, 1501)] == [False, False, True], "30 seconds are 2 % of 25 minutes"
    clock.on_save(None, None, None)
    clock.cost = 1.0
    assert [asks(at) for at in (1501 + 599, 1501 + 601)] == [False, True]


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
    tmp_path: Path,
    tiny_model: Path,
    wholes: Wholes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cause: str,
) -> None:
    folder, whole, _ = wholes()
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
    assert "training continues without a checkpoint" in caplog.text
    assert report.loss == whole.loss
    assert_same_files(tmp_path / "m", folder)


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
