"""Samples that read their prompt from one place are given the logits that they have alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from gramr2.backends import shared_attention
from gramr2.backends.base import Decoding, GenerationRequest
from gramr2.backends.prefill import Prefilled, prefill, prefilled
from gramr2.backends.shared_attention import NAME, OwnLayer, Part, advance, attend, let_share, part_of
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Message

SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
KINDS = {
    "llama": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "gpt_neox": {},
}
BEGINNING = [*range(3, 30)]
PROMPTS = [[*BEGINNING, 31, 32, 33, 34], [*BEGINNING, 40], [50, 51, 52], [*range(20, 60)]]


def model_of(kind: str, **options: Any) -> Any:
    torch.manual_seed(3)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **options)).eval()


def alone(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([ids])).logits[0, -1]
    return logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grouped", [True, False])
def test_each_sample_has_the_logits_that_it_has_alone(kind: str, grouped: bool) -> None:
    model = model_of(kind, **KINDS[kind])
    assert let_share(model)
    assert model.config._attn_implementation == NAME
    with torch.inference_mode():
        caches = [*prefilled(model, PROMPTS, None)] if grouped else [(prefill(model, PROMPTS), [*range(len(PROMPTS))])]
        # The first prompt of each cache has no sample, and of the others one has three, one two: in no order.
        wanted = [(prompt, sample) for prompt in (1, 3, 2) for sample in range(1 + prompt % 3)]
        order = [5, 0, 3, 1, 4, 2][: len(wanted)]
        found_at = {prompt: (cache, place) for cache, places in caches for place, prompt in enumerate(places)}
        by_cache: dict[int, tuple[Prefilled, list[int], list[int]]] = {}
        for slot, which in enumerate(order):
            cache, place = found_at[wanted[which][0]]
            by_cache.setdefault(id(cache), (cache, [], []))[1].append(place)
            by_cache[id(cache)][2].append(slot)
        parts = [part_of(*each) for each in by_cache.values()]
        written = [[7 + which] for which in order]
        # Two samples are a token ahead: each has its own columns.
        own = [OwnLayer(len(order), 4) for _ in range(2)]
        for step in range(3):
            columns = torch.tensor([[len(each) - 1] for each in written])
            for layer in own:
                layer.columns, layer.width = columns, int(columns.max()) + 1
            lengths = torch.tensor([[len(PROMPTS[wanted[which][0]])] for which in order])
            tokens = torch.tensor([[each[-1]] for each in written])
            logits = advance(model, tokens, lengths + columns, own, parts)
            for slot, which in enumerate(order):
                expected = alone(model, PROMPTS[wanted[which][0]] + written[slot])
                assert torch.allclose(logits[slot], expected, atol=1e-4)
                # A sample that repeats a token writes it into the same column, as an empty slot does.
                if step or slot % 2:
                    written[slot].append(11 + slot + step)


def test_a_spoiled_prompt_spoils_only_its_samples() -> None:
    model = model_of("llama", **KINDS["llama"])
    assert let_share(model)
    with torch.inference_mode():
        cache = prefill(model, PROMPTS[:2])
        for layer in cache.cache.layers:
            layer.keys[0] = torch.nan
        own = [OwnLayer(2, 2) for _ in range(2)]
        for layer in own:
            layer.columns, layer.width = torch.zeros(2, 1, dtype=torch.long), 1
        positions = torch.tensor(cache.lengths[::-1])[:, None]
        logits = advance(model, torch.tensor([[5], [5]]), positions, own, [part_of(cache, [1, 0], [0, 1])])
    assert torch.allclose(logits[0], alone(model, [*PROMPTS[1], 5]), atol=1e-4)
    assert logits[1].isnan().any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plain", [False, True], ids=["the processor's kernel", "plain"])
def test_some_samples_write_several_tokens_at_once(kind: str, plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(kind, **KINDS[kind])
    assert let_share(model)
    if plain:
        monkeypatch.setattr(shared_attention, "attended", plainly(shared_attention.attended))
    with torch.inference_mode():
        cache = prefill(model, PROMPTS)
        own = [OwnLayer(3, 6) for _ in range(2)]
        places, begins = [3, 0, 2], torch.tensor([[len(PROMPTS[place])] for place in (3, 0, 2)])
        for layer in own:
            layer.columns, layer.width = torch.zeros(3, 1, dtype=torch.long), 1
        advance(model, torch.tensor([[5], [6], [7]]), begins, own, [part_of(cache, places, [0, 1, 2])])
        columns = torch.tensor([[1, 2, 3], [1, 2, 3]])
        for layer in own:
            layer.writing, layer.columns, layer.width = torch.tensor([2, 0]), columns, 4
        tokens = torch.tensor([[8, 9, 10], [11, 12, 13]])
        # The first sample that writes is the third, which continues the third prompt.
        logits = advance(model, tokens, begins[[2, 0]] + columns, own, [part_of(cache, [2, 3], [0, 1])])
        assert torch.allclose(logits[0], alone(model, [*PROMPTS[2], 7, 8, 9, 10]), atol=1e-4)
        assert torch.allclose(logits[1], alone(model, [*PROMPTS[3], 5, 11, 12, 13]), atol=1e-4)
        for layer in own:
            layer.writing, layer.columns, layer.width = None, torch.tensor([[4], [1], [4]]), 5
        positions = begins + own[0].columns
        logits = advance(model, torch.tensor([[20], [21], [22]]), positions, own, [part_of(cache, places, [0, 1, 2])])
        for found, place, written in zip(
            logits, places, ([5, 11, 12, 13, 20], [6, 21], [7, 8, 9, 10, 22]), strict=True
        ):
            assert torch.allclose(found, alone(model, [*PROMPTS[place], *written]), atol=1e-4)


def plainly(attended: Callable[..., Any]) -> Callable[..., Any]:
    """The way of a device that has no kernel for it: values of another size than the keys take it."""

    def call(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *rest: Any) -> Any:
        wider = torch.cat([values, values.new_zeros((*values.shape[:-1], 1))], -1)
        found, sums = attended(query, keys, wider, *rest)
        return found[..., :-1], sums

    return call


@pytest.mark.parametrize("plain", [False, True], ids=["the processor's kernel", "plain"])
def test_in_bf16_a_prompt_that_is_looked_at_most_does_not_hide_a_samples_own_tokens(plain: bool) -> None:
    """Models look at their first token most and take nothing from it: what counts is the small rest."""
    torch.manual_seed(0)
    heads, columns, own, size = 2, 300, 20, 64
    query, keys, values = (torch.randn(1, heads, n, size) for n in (1, columns + own, columns + own))
    query *= (size / query.pow(2).sum(-1, keepdim=True)).sqrt()
    keys[:, :, 0], values[:, :, 0] = 1.25 * query[:, :, 0], 0.01 * values[:, :, 0]
    exact = torch.nn.functional.scaled_dot_product_attention(query.double(), keys.double(), values.double())
    query, keys, values = (each.bfloat16() for each in (query, keys, values))
    prompt, rest = slice(0, columns), slice(columns, None)
    none = [torch.zeros(1, 1, 1, n, dtype=torch.bfloat16) for n in (columns, own)]
    one = torch.zeros(1, dtype=torch.long)
    part = Part([keys[:, :, prompt]], [values[:, :, prompt]], none[0], one, one, one)
    module = SimpleNamespace(layer_idx=0)
    shared = shared_attention._parts.set([part])
    kernel = shared_attention.attended
    if plain:
        shared_attention.attended = plainly(kernel)
    try:
        found, _ = attend(module, query, keys[:, :, rest], values[:, :, rest], none[1])
    finally:
        shared_attention._parts.reset(shared)
        shared_attention.attended = kernel
    assert (found[:, 0, :, None].double() - exact).norm() / exact.norm() < 0.01


def test_a_slot_forgets_what_was_in_it() -> None:
    layer = OwnLayer(2, 3)
    layer.columns, layer.width = torch.tensor([[0], [0]]), 1
    states = torch.full((2, 1, 1, 4), torch.nan)
    layer.update(states, states)
    layer.clear(torch.tensor([1]))
    assert layer.keys[0].isnan().any() and not layer.keys[1].isnan().any() and not layer.values[1].isnan().any()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("bloom", {"n_layer": 2, "n_head": 4}), ("mistral", {"num_key_value_heads": 2, "sliding_window": 8})],
)
def test_other_attention_stays_as_it_is(kind: str, options: dict[str, Any]) -> None:
    model = model_of(kind, **options)
    usual = model.config._attn_implementation
    assert not let_share(model)
    assert model.config._attn_implementation == usual


def test_a_model_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("llama", **KINDS["llama"])
    monkeypatch.setattr(
        "gramr2.backends.shared_attention.advance", lambda _, tokens, *rest: torch.ones(len(tokens), 64)
    )
    assert not let_share(model)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_cannot_share_writes_what_it_writes_by_itself(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "bloom"
    shutil.copytree(tiny_model, folder)
    vocabulary = json.loads((tiny_model / "config.json").read_text())["vocab_size"]
    sizes = SIZES | {"vocab_size": vocabulary, "n_layer": 2, "n_head": 4, "hidden_size": 32}
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("bloom", **sizes)).save_pretrained(folder)
    backend = TransformersBackend(folder)
    asked = [
        GenerationRequest((Message("user", text),), (0, 1), Decoding(0.0, 1.0, 12))
        for text in ("Hello", "Hi there you")
    ]
    for index, completions in backend.generate(asked):
        prompt = torch.tensor([backend.encoder.prompt(asked[index].messages)])
        output = backend.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False
        )
        expected = backend.encoder.tokenizer.decode(output[0, prompt.shape[1] :].tolist(), skip_special_tokens=True)
        assert [each.text for each in completions] == [expected, expected]


@pytest.mark.parametrize("by", ["one by one", "eager"])
@pytest.mark.parametrize(
    ("apart", "noise", "shares"),
    [(0.01, None, True), (0.05, 0.0, False), (0.05, 0.03, True), (0.05, None, False), (0.2, 0.5, False)],
)
def test_what_a_probe_may_differ_by(
    apart: float, noise: float | None, shares: bool, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the logits: little, or a few times what the model differs from itself by, and never much."""
    model, module = model_of("llama", **KINDS["llama"]), "gramr2.backends.shared_attention"
    model = model.to(torch.bfloat16) if by == "eager" else model
    logits = torch.linspace(-1.0, 1.0, 64)[None]
    itself = None if noise is None else logits * (1 - noise)
    monkeypatch.setattr(f"{module}._own_answer", lambda *_: logits)
    monkeypatch.setattr(f"{module}._shared_answer", lambda *_: logits * (1 + apart))
    monkeypatch.setattr(f"{module}._one_by_one", lambda *_: itself if by == "one by one" else None)
    monkeypatch.setattr(f"{module}._eager_answer", lambda *_: itself if by == "eager" else None)
    assert let_share(model) is shares


def test_in_bf16_an_untrained_model_shares_and_transformers_own_attention_is_back_after_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert let_share(model_of("llama", **KINDS["llama"]).to(torch.bfloat16))
    assert let_share(model_of("qwen3", **KINDS["qwen3"]).to(torch.bfloat16))
    model, module = model_of("llama", **KINDS["llama"]).to(torch.bfloat16), "gramr2.backends.shared_attention"
    # Nothing but the model's own noise is allowed for, and this suffices: all answers are asked for.
    for name, value in (("TOLERANCE", 0.0), ("NOISE", 1e9), ("MOST", 1e9)):
        monkeypatch.setattr(f"{module}.{name}", value)
    assert let_share(model) and model.config._attn_implementation == NAME
    model = model_of("llama", **KINDS["llama"])
    monkeypatch.setattr(f"{module}.TOLERANCE", -1.0)
    monkeypatch.setattr(f"{module}.MOST", -1.0)
    assert not let_share(model)
    assert model.config._attn_implementation == "sdpa"
