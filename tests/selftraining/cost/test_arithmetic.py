"""The operations and bytes of a model are those that torch counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gramr2.errors import ModelError
from gramr2.selftraining.cost.arithmetic import Shape, forward_flops, judging_bytes, training_bytes, training_flops
from gramr2.selftraining.cost.sizes import Lengths
from gramr2.selftraining.cost.stages import Asked


@pytest.fixture(scope="module")
def shape(tiny_model: Path) -> Shape:
    return Shape.of(tiny_model)


def test_a_shape_is_read_without_loading_the_model(tiny_model: Path, shape: Shape) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert shape.parameters == model.num_parameters()
    layers = sum(each.numel() for name, each in model.named_parameters() if ".layers." in name and each.dim() == 2)
    assert shape.body == pytest.approx(layers, rel=0.01), "all but norms"
    linear = [
        each for name, each in model.named_modules() if isinstance(each, torch.nn.Linear) and "lm_head" not in name
    ]
    assert shape.linear == sum(each.in_features + each.out_features for each in linear)


def test_a_config_that_does_not_say_whether_weights_are_tied_is_answered_by_the_weights(
    tiny_model: Path, tmp_path: Path
) -> None:
    """As Gemma's, whose class has a default of its own."""
    from safetensors.torch import load_file, save_file

    raw = json.loads((tiny_model / "config.json").read_text())
    weights = load_file(tiny_model / "model.safetensors")
    del raw["tie_word_embeddings"]
    for own in (True, False):
        folder = tmp_path / str(own)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(raw))
        head = {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}
        others = {name: each for name, each in weights.items() if "lm_head" not in name}
        save_file(others | (head if own else {}), folder / "model.safetensors")
    shapes = {own: Shape.of(tmp_path / str(own)) for own in (True, False)}
    assert shapes[True].tied is False and shapes[False].tied is True
    assert shapes[True].body == shapes[False].body


def test_a_pass_costs_what_torch_counts(tiny_model: Path, shape: Shape) -> None:
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation="eager")
    ids = torch.ones((2, 40), dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        loss = model(ids, use_cache=False).logits.sum()
    # Eager attention also computes what the mask hides: twice as much as causal attention needs.
    forward = forward_flops(shape, 80, 2 * 2 * 40 * 40, 80)
    assert counter.get_total_flops() == pytest.approx(forward, rel=0.02)
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    both = counter.get_total_flops() + forward
    assert both == pytest.approx(training_flops(forward, adapters=False), rel=0.02)


def test_a_frozen_weight_costs_no_gradient() -> None:
    assert training_flops(10, adapters=False) == 30
    assert training_flops(10, adapters=True) == 20
    assert training_flops(10, adapters=False, recompute=True) == 40


def test_a_prompt_is_computed_once_for_all_its_votes(shape: Shape) -> None:
    prompt = Lengths(100.0, 100.0 * 100, 60)
    one, four = (Asked(10, prompt, votes, 20.0) for votes in (1, 4))
    assert (one.prompt_tokens, one.computed, one.generated_tokens) == (1000, 400, 200)
    assert (four.prompt_tokens, four.computed, four.generated_tokens) == (1000, 400, 800)
    prefill = Asked(10, prompt).flops(shape)
    assert four.flops(shape) - prefill == pytest.approx(4 * (one.flops(shape) - prefill))
    written = forward_flops(shape, 20, sum(2 * (100 + at) for at in range(20)), 20)
    assert (one.flops(shape) - prefill) / 10 == pytest.approx(written, rel=0.01)


def test_memory_is_that_of_its_parts(shape: Shape) -> None:
    n = shape.parameters
    assert training_bytes(shape, None, 0, 0) == 16 * n, "weights, gradients, two moments"
    assert training_bytes(shape, None, 0, 0, bf16=True) == 18 * n
    rank = 2 * shape.linear
    assert training_bytes(shape, 2, 100, 0) == 4 * n + 16 * rank + 100
    assert training_bytes(shape, None, 0, 5) == 16 * n + 3 * 4 * 5 * shape.vocabulary
    rows = judging_bytes(shape, 2, 3, 50)
    assert rows == 2 * n + 3 * 50 * 2 * 2 * 2 * 2 * 16 + 4 * 3 * shape.vocabulary


def test_a_model_that_does_not_state_its_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 4}))
    with pytest.raises(ModelError, match=r"no \.safetensors"):
        Shape.of(tmp_path)
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2, 3)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"does not state the model's shape \('hidden_size'\)"):
        Shape.of(tmp_path)
