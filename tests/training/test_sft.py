"""Fine-tuning: it teaches what it is shown, stops where it should, and a step is the same however it is divided."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from safetensors.torch import load_file, save_file

from conftest import labeled
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, LabeledComparison
from gramr2.config.training import EarlyStopConfig, ModelConfig, TrainingConfig
from gramr2.errors import DataError, MissingDependencyError, ModelError, RunError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.training.examples import TrainingExample, TrainingForm
from gramr2.training.sft import fine_tune


def taught(item: LabeledComparison) -> TrainingExample:
    """An example that shows the label in one order."""
    return (TrainingForm(item.comparison, item.label, None),)


def test_small_data_get_the_passes_that_min_steps_asks_for() -> None:
    config = TrainingConfig(epochs=2, batch_size=8, min_steps=100)
    assert config.epochs_for(16) == 50
    assert config.epochs_for(1600) == 2
    assert TrainingConfig(epochs=2, min_steps=0).epochs_for(16) == 2


def test_nothing_to_train_on_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(DataError, match="no example"):
        fine_tune(tiny_model, tmp_path / "m", [], JudgeTemplate(), TrainingConfig(), ModelConfig(name="x"), seed=0)


def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path: Path, tiny_model: Path) -> None:
    """And a model of such weights does not judge."""
    damaged = shutil.copytree(tiny_model, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    next(value for name, value in weights.items() if "mlp" in name)[0, 0] = float("nan")
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match="the loss is NaN or infinite after 0 steps"):
        fine_tune(
            damaged, tmp_path / "m", [taught(labeled("1", Label.A))], JudgeTemplate(JudgeMode.LABEL), TrainingConfig(),
            ModelConfig(name="x"), seed=0,
        )  # fmt: skip
    assert not (tmp_path / "m").exists()
    with pytest.raises(ModelError, match="logits are NaN in float32"):
        Judge(TransformersBackend(damaged), JudgeTemplate(JudgeMode.LABEL), Sampling(votes=1, temperature=0)).judge(
            [labeled("1", Label.A).comparison]
        )


def test_weights_that_the_last_step_has_spoilt_are_not_saved(tmp_path: Path, tiny_model: Path) -> None:
    """Its loss was a number; no later one tells."""
    config = TrainingConfig(epochs=1, min_steps=0, learning_rate=1e38, batch_size=1, precision="float32")
    with pytest.raises(RunError, match="ended with weights that are NaN or infinite"):
        fine_tune(
            tiny_model, tmp_path / "m", [taught(labeled("1", Label.A))], JudgeTemplate(JudgeMode.LABEL), config,
            ModelConfig(name="x"), seed=0,
        )  # fmt: skip
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_training_teaches_what_it_is_shown(tmp_path: Path, tiny_model: Path) -> None:
    items = [labeled(str(i), Label.B) for i in range(16)]
    examples = [taught(item) for item in items]
    config = TrainingConfig(epochs=8, min_steps=0, learning_rate=3e-3, batch_size=8)
    steps: list[tuple[int, int]] = []
    report = fine_tune(
        tiny_model, tmp_path / "m", examples, JudgeTemplate(JudgeMode.LABEL), config, ModelConfig(name="x"), seed=0,
        on_step=lambda done, total, loss: steps.append((done, total)),
    )  # fmt: skip
    assert report.steps == 16
    assert steps == [(i, 16) for i in range(1, 17)]
    sampling = Sampling(votes=1, temperature=0)

    def p_second(folder: Path) -> float:
        judge = Judge(TransformersBackend(folder), JudgeTemplate(JudgeMode.LABEL), sampling)
        shown = [v for d in judge.judge([i.comparison for i in items]) for v in d.judgments if v.order == "ab"]
        return sum(v.probabilities.b for v in shown if v.probabilities) / len(shown)

    assert p_second(tmp_path / "m") > 0.9 > p_second(tiny_model)
    assert not list((tmp_path / "m").glob("checkpoint-*"))
    assert (tmp_path / "m" / "gramr2_judge.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "rate"), [("full", 3e-3), ("lora", 5e-2)])
def test_training_stops_where_held_out_comparisons_are_learnt_no_better(
    method: Literal["full", "lora"], rate: float, tmp_path: Path, tiny_model: Path
) -> None:
    """The held-out labels contradict what is learnt, so the first epoch is the best there is."""
    examples = [taught(labeled(str(i), Label.B)) for i in range(16)]
    held_out = [taught(labeled(f"h{i}", Label.A)) for i in range(8)]
    config = TrainingConfig(
        method=method,
        epochs=8,
        min_steps=0,
        learning_rate=rate,
        batch_size=8,
        early_stop=EarlyStopConfig(patience=2),
    )
    template = JudgeTemplate(JudgeMode.LABEL)
    stopped = fine_tune(
        tiny_model, tmp_path / "m", examples, template, config, ModelConfig(name="x"), seed=0, held_out=held_out
    )
    losses = stopped.held_out_losses
    best = losses.index(min(losses))
    assert stopped.held_out == 8
    assert len(losses) == best + 3 < 8, "two epochs after the best one"
    assert not list((tmp_path / "m").glob("checkpoint-*"))

    def p_first(folder: Path) -> float:
        judge = Judge(TransformersBackend(folder), template, Sampling(votes=1, temperature=0))
        shown = [v for d in judge.judge([each.comparison for (each,) in held_out]) for v in d.judgments]
        return sum(v.probabilities.a for v in shown if v.probabilities and v.order == "ab")

    assert p_first(tmp_path / "m") > p_first(_trained_on(examples, tmp_path / "all", tiny_model, config))


def _trained_on(examples: list[TrainingExample], into: Path, start: Path, config: TrainingConfig) -> Path:
    fine_tune(start, into, examples, JudgeTemplate(JudgeMode.LABEL), config, ModelConfig(name="x"), seed=0)
    return into


@pytest.mark.slow
def test_trackers_write_beside_the_model(tmp_path: Path, tiny_model: Path) -> None:
    config = TrainingConfig(epochs=1, min_steps=0, batch_size=2, report_to=["tensorboard"])
    examples = [taught(labeled(str(i), Label.A)) for i in range(2)]
    into = tmp_path / "run/rounds/1/model"
    (tmp_path / "run/rounds/1/tracking").mkdir(parents=True)
    (tmp_path / "run/rounds/1/tracking/stale").touch()
    fine_tune(tiny_model, into, examples, JudgeTemplate(), config, ModelConfig(name="x"), seed=0)
    names = [file.name for file in (into.parent / "tracking").rglob("*") if file.is_file()]
    assert names
    assert all(name.startswith("events.out") for name in names)
    assert not (into / "runs").exists()
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = TrainingConfig(report_to=["trackio"])
    example = taught(labeled("x", Label.A))
    with pytest.raises(MissingDependencyError, match="pip install 'trackio>="):
        fine_tune(tiny_model, tmp_path / "m", [example], JudgeTemplate(), config, ModelConfig(name="x"), seed=0)


@pytest.mark.slow
def test_a_disk_that_is_full_is_a_sentence_and_leaves_no_half_model(tmp_path: Path, tiny_model: Path) -> None:
    """The limit on a file's size stands in for the disk's: the same error from the same place, without filling a disk."""
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from conftest import labeled
from gramr2.comparison import Label
from gramr2.config.training import EarlyStopConfig, ModelConfig, TrainingConfig
from gramr2.errors import RunError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeTemplate
from gramr2.training.examples import training_examples
from gramr2.training.sft import fine_tune
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
examples = training_examples([labeled("x", Label.A)], "both", 0, direct=False)
try:
    fine_tune(Path({str(tiny_model)!r}), Path({str(tmp_path / "m")!r}), examples, JudgeTemplate(),
              TrainingConfig(epochs=1, min_steps=0), ModelConfig(name="x"), seed=0)
except RunError as error:
    print("SENTENCE", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SENTENCE" in done.stdout, done.stderr[-2000:]
    assert "the model cannot be written" in done.stdout
    assert not (tmp_path / "m").exists()
