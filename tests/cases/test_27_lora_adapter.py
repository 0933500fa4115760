"""An adapter is put on whole: with the tokens that it added, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import make
from gramr2 import load_judge
from gramr2.backends.registry import resolve
from gramr2.errors import ModelError
from gramr2.exporting.export import export, publish
from gramr2.exporting.source import find

ADDED = ("<|extra1|>", "<|extra2|>")


def adapter(model: Path, into: Path, *, added: bool = False, embeddings: bool = True) -> Path:
    """A LoRA adapter whose second half is not zero, so that it changes answers."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    if added:
        # One that only a template could write, and one that any text may contain.
        tokenizer.add_special_tokens({"additional_special_tokens": [ADDED[0]]})
        tokenizer.add_tokens([ADDED[1]])
        base.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    tuned = get_peft_model(base, config)
    tuned.peft_config["default"].base_model_name_or_path = str(model)
    tuned.save_pretrained(into, save_embedding_layers=added and embeddings)
    if added:
        tokenizer.save_pretrained(into)
    return into


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """The adapter with other weights."""
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})
    return folder


def test_an_adapter_with_added_tokens_judges_and_is_exported(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapter(tiny_model, tmp_path / "lora", added=True)
    judge = load_judge(folder, mode="label", dtype="float32", device="cpu")
    decision = judge.compare("q", "a", f"b {ADDED[0]}")
    assert decision.coverage == 1.0
    backend = judge.model.backend
    rows = len(backend.encoder.tokenizer)
    assert backend.model.get_input_embeddings().weight.shape[0] == rows
    scratch, _, _ = export(find(str(folder)), tmp_path / "out", [make()], max_new_tokens=4)
    publish(scratch, tmp_path / "out")
    merged = load_judge(tmp_path / "out", mode="label", dtype="float32", device="cpu")
    assert merged.compare("q", "a", f"b {ADDED[0]}").confidence == pytest.approx(decision.confidence, abs=1e-4)


def test_added_tokens_without_their_embeddings_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapter(tiny_model, tmp_path / "lora", added=True, embeddings=False)
    with pytest.raises(ModelError, match=r"without an embedding \('<\|extra2\|>'"):
        load_judge(folder)


def test_half_an_adapter_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    name = "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"
    lost = changed(adapter(tiny_model, tmp_path / "lost"), lambda weights: weights.pop(name))
    with pytest.raises(ModelError, match=rf"lacks weights \({name}\)"):
        load_judge(lost)
    extra = name.replace("v_proj", "o_proj")
    more = changed(
        adapter(tiny_model, tmp_path / "more"), lambda weights: weights.update({extra: weights[name].clone()})
    )
    with pytest.raises(ModelError, match=rf"no place \({extra}\)"):
        load_judge(more)


def test_an_adapter_of_another_kind_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapter(tiny_model, tmp_path / "lora")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"task_type": "SEQ_CLS"}))
    with pytest.raises(ModelError, match="adapter for SEQ_CLS"):
        load_judge(folder)


def test_a_config_of_the_model_beside_the_adapter_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapter(tiny_model, tmp_path / "lora")
    options = {"mode": "label", "dtype": "float32", "device": "cpu"}
    before = load_judge(folder, **options).compare("q", "a", "b")
    shutil.copy(tiny_model / "config.json", folder)
    assert load_judge(folder, **options).compare("q", "a", "b") == before


def test_a_model_and_an_adapter_in_one_folder_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    """transformers would load the adapter's base and not look at the weights that are there."""
    folder = adapter(tiny_model, tmp_path / "lora")
    shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
    with pytest.raises(ModelError, match="adapter_config.json beside a model's config.json"):
        load_judge(folder)


def test_an_adapter_where_a_model_is_needed_says_how_to_merge_it(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="merge the two first with gramr2 export"):
        resolve(str(adapter(tiny_model, tmp_path / "lora")))


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"base_model_name_or_path": 3}', "[" * 100000])
def test_a_broken_adapter_config_is_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(ModelError) as caught:
        load_judge(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_broken_adapter_file_is_a_sentence(tiny_model: Path, tmp_path: Path) -> None:
    folder = adapter(tiny_model, tmp_path / "lora")
    (folder / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="the adapter in .* cannot be loaded"):
        load_judge(folder)
