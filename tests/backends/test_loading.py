"""Whatever a library raises over a model's files is one sentence that names the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from gramr2.backends.loading import loading
from gramr2.comparison import Label
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import ModelError, ModelNotFoundError
from gramr2.judging.template import JudgeTemplate
from gramr2.training.bradley_terry import train_reward_model
from gramr2.training.examples import training_examples
from gramr2.training.sft import fine_tune


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (OSError("no such file\nsee the docs"), "no such file"),
        (RuntimeError("CUDA out of memory"), "CUDA out of memory"),
        (
            RuntimeError("Error(s) in loading state_dict for X:\n\tsize mismatch for y"),
            "Error(s) in loading state_dict for X: size",
        ),
        (
            ValueError("You set `ignore_mismatched_sizes` to `False`, look at the above report!"),
            "do not have the shapes",
        ),
        (SafetensorError("file not fully covered"), "file not fully covered"),
        (MemoryError(), None),
        (ValueError(), "ValueError"),
    ],
)
def test_one_sentence(raised: Exception, reason: str | None) -> None:
    with pytest.raises(ModelError if reason else MemoryError) as caught, loading("the model", Path("x/y")):
        raise raised
    if reason:
        assert str(caught.value).startswith("the model in x/y cannot be loaded: ")
        assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_already_said_stays_as_it_is() -> None:
    with pytest.raises(ModelNotFoundError, match=r"\Aof the adapter\Z"), loading("the model", "x"):
        raise ModelNotFoundError("of the adapter")


def test_weights_cut_short_are_a_sentence_where_training_begins(tmp_path: Path, tiny_model: Path) -> None:
    from conftest import labeled

    cut = tmp_path / "cut"
    shutil.copytree(tiny_model, cut)
    (cut / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes()[:1000])
    items, training, model = [labeled("1", Label.A)], TrainingConfig(), ModelConfig(name="x")
    with pytest.raises(ModelError, match="cut cannot be loaded: Error while deserializing"):
        fine_tune(
            cut,
            tmp_path / "m",
            training_examples(items, "both", 0, direct=True),
            JudgeTemplate(),
            training,
            model,
            seed=0,
        )
    with pytest.raises(ModelError, match="cut cannot be loaded: Error while deserializing"):
        train_reward_model(cut, tmp_path / "s", items, training, model, seed=0)
