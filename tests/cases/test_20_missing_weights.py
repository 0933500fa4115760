"""A model with random, left-over or damaged weights is refused by name; it never decides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from broken_models import copied, with_json, with_weights
from transformers import LlamaConfig, LlamaForSequenceClassification

from conftest import labeled
from gramr2 import load_judge
from gramr2.backends.gguf_import import convert
from gramr2.backends.pretrained import open_causal, open_scalar, refuse_gaps
from gramr2.comparison import Label
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import ModelError
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.loading import JudgeOptions, generative_judge
from gramr2.training.bradley_terry import load_reward_model
from gramr2.training.examples import training_examples
from gramr2.training.sft import fine_tune

DOWN = "model.layers.1.mlp.down_proj.weight"


def scalar(into: Path, model: Path) -> Path:
    """A scalar reward model with the tokenizer of a language model."""
    copied(model, into)
    config = LlamaConfig.from_pretrained(model, num_labels=1)
    LlamaForSequenceClassification(config).save_pretrained(into)
    return into


def test_a_lost_tensor_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = with_weights(copied(tiny_model, tmp_path / "m"), lambda weights: weights.pop(DOWN))
    with pytest.raises(ModelError, match=rf"lacks weights \({DOWN}\)"):
        load_judge(folder)
    items = training_examples([labeled("1", Label.A)], "both", 0, direct=True)
    with pytest.raises(ModelError, match=rf"lacks weights \({DOWN}\)"):
        fine_tune(
            folder, tmp_path / "t", items, JudgeTemplate(JudgeMode.LABEL), TrainingConfig(), ModelConfig(name="x"), seed=0
        )  # fmt: skip


def test_a_scalar_reward_model_writes_no_text(tiny_model: Path, tmp_path: Path) -> None:
    folder = scalar(tmp_path / "m", tiny_model)
    with pytest.raises(ModelError, match="holds a LlamaForSequenceClassification, which writes no text"):
        generative_judge(str(folder), JudgeOptions())
    # Without the name, its weights tell.
    with_json(folder, "config.json", architectures=None, tie_word_embeddings=False)
    with pytest.raises(ModelError, match=r"lacks weights \(lm_head.weight\)"):
        load_judge(folder)


def test_weights_that_the_config_has_no_place_for_are_named(tiny_model: Path, tmp_path: Path) -> None:
    """A config with fewer layers would make another model of the same weights."""
    folder = with_json(copied(tiny_model, tmp_path / "m"), "config.json", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"no place \(model.layers.1.input_layernorm.weight, .* more\)"):
        load_judge(folder)


def test_a_tensor_of_another_shape_is_named(tiny_model: Path, tmp_path: Path) -> None:
    def cut(weights: dict[str, torch.Tensor]) -> None:
        weights[DOWN] = weights[DOWN][:, :100].contiguous()

    folder = with_weights(copied(tiny_model, tmp_path / "m"), cut)
    with pytest.raises(ModelError, match=rf"{DOWN} is 64×100, expected 64×128"):
        load_judge(folder)


def test_a_model_whose_numbers_are_none_is_refused_at_load(tiny_model: Path, tmp_path: Path) -> None:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["model.norm.weight"].fill_(float("nan"))

    folder = with_weights(copied(tiny_model, tmp_path / "m"), spoil)
    with pytest.raises(ModelError, match="logits are NaN in float32"):
        load_judge(folder, dtype="float32")


def test_a_reward_model_needs_its_head(tiny_model: Path, tmp_path: Path) -> None:
    folder = scalar(tmp_path / "m", tiny_model)
    assert load_reward_model(folder, ModelConfig(name="x", device="cpu")).model.config.num_labels == 1
    with_weights(folder, lambda weights: weights.pop("score.weight"))
    with pytest.raises(ModelError, match=r"lacks weights \(score.weight\)"):
        load_reward_model(folder, ModelConfig(name="x", device="cpu"))
    # A new head is for the start of training; the rest must still be there.
    assert open_scalar(tiny_model, new_head=True).score.weight.shape == (1, 64)
    broken = with_weights(copied(tiny_model, tmp_path / "b"), lambda weights: weights.pop(DOWN))
    with pytest.raises(ModelError, match=DOWN):
        open_scalar(broken, new_head=True)


def test_a_reward_model_is_read_from_safetensors_alone(tiny_model: Path, tmp_path: Path) -> None:
    folder = scalar(tmp_path / "m", tiny_model)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"no file named model.safetensors"):
        load_reward_model(folder, ModelConfig(name="x", device="cpu"))


def test_whole_models_pass(tiny_model: Path) -> None:
    assert open_causal(tiny_model, dtype=torch.float32).config.num_hidden_layers == 2
    refuse_gaps(
        tiny_model, {"missing_keys": {"lm_head.weight"}, "unexpected_keys": {"x"}, "mismatched_keys": set()}, "m."
    )


def test_a_gguf_that_is_no_model_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(64))
    with pytest.raises(ModelError, match="damaged, or no language model"):
        convert(file, tmp_path / "m")
