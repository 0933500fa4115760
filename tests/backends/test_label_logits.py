"""Label logits keep in bf16 the digits that the output layer rounds away."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_recorded import Recorder
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from gramr2.backends.base import Decoding, GenerationRequest, VerdictReading
from gramr2.backends.label_logits import LabelLogits, labels_in_fp32
from gramr2.backends.recorded import Recording
from gramr2.backends.transformers import Batching, TransformersBackend
from gramr2.comparison import Message

LABELS = (5, 9, 11)
ALL = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
"""rows and positions of the last two tokens of two prompts"""


def model_in(dtype: torch.dtype, *, bias: bool = False) -> LlamaForCausalLM:
    torch.manual_seed(1)
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2))
    if bias:
        model.lm_head = nn.Linear(32, 64)
    with torch.no_grad():
        model.lm_head.weight *= 40
    return model.to(dtype).eval()


def last(model: LlamaForCausalLM) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([[3, 4, 5], [6, 7, 8]]), logits_to_keep=1).logits[:, -1]
    return logits


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", [False, True])
def test_labels_are_exact_and_the_others_as_they_were(dtype: torch.dtype, bias: bool) -> None:
    model = model_in(dtype, bias=bias)
    labels = LabelLogits(model)
    seen = last(model)
    found = labels.refined(seen, LABELS)
    assert found.dtype == torch.float32
    others = [i for i in range(64) if i not in LABELS]
    assert torch.equal(found[:, others], seen[:, others].float())
    before = seen[:, LABELS].float()
    assert torch.allclose(found[:, LABELS], before, rtol=torch.finfo(dtype).eps, atol=1e-3)
    assert not torch.equal(found[:, LABELS], before)


def test_in_fp32_nothing_is_done() -> None:
    model = model_in(torch.float32)
    labels, seen = LabelLogits(model), last(model)
    assert labels.refined(seen, LABELS) is seen


def test_logits_that_are_changed_behind_the_output_layer_stay() -> None:
    """By something that the config does not tell."""
    model = model_in(torch.bfloat16)
    labels = LabelLogits(model)
    seen = 2 * torch.tanh(last(model) / 2)
    assert torch.equal(labels.refined(seen, LABELS), seen.float())
    assert labels.refined(seen[:1], LABELS).shape == (1, 64), "those of another forward pass"


@pytest.mark.parametrize("kind", ["gemma2", "cohere", "granite"])
def test_scaled_and_capped_logits_have_their_digits_too(kind: str) -> None:
    torch.manual_seed(1)
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "head_dim": 8}
    after = {"final_logit_softcapping": 30.0, "logit_scale": 0.7, "logits_scaling": 0.7}
    more = {name: value for name, value in after.items() if hasattr(AutoConfig.for_model(kind), name)}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **more, **layers))
    model = model.to(torch.bfloat16).eval()
    with torch.no_grad():
        model.lm_head.weight *= 60
    labels = LabelLogits(model)
    seen = last(model)
    found = labels.refined(seen, LABELS)[:, LABELS]
    assert seen[:, LABELS].abs().max() > 10
    with torch.inference_mode():
        given = model.model(torch.tensor([[3, 4, 5], [6, 7, 8]])).last_hidden_state[:, -1].float()
        exact = given @ model.lm_head.weight[list(LABELS)].float().T
        exact = {"gemma2": 30 * torch.tanh(exact / 30), "cohere": 0.7 * exact, "granite": exact / 0.7}[kind]
    assert torch.allclose(found, exact, atol=1e-5)
    assert not torch.allclose(found, seen[:, LABELS].float(), atol=1e-3)


def test_a_layer_that_a_wrapper_has_made_its_own_is_read() -> None:
    """As FSDP 2 does; one that computes something else is not."""
    model = model_in(torch.bfloat16)
    model.lm_head.__class__ = type("FSDPLinear", (nn.Linear,), {})
    assert LabelLogits(model).refines
    model.lm_head.__class__ = type("Linear4bit", (nn.Linear,), {"forward": lambda self, given: given})
    assert not LabelLogits(model).refines


def test_a_spoilt_row_does_not_affect_the_others() -> None:
    model = model_in(torch.bfloat16)
    labels, seen = LabelLogits(model), last(model)
    sound = labels.refined(seen, LABELS)
    spoilt = seen.clone()
    spoilt[0] = torch.nan
    found = labels.refined(spoilt, LABELS)
    assert found[0].isnan().all() and torch.equal(found[1], sound[1])


def test_in_training_values_are_those_of_fp32_and_the_gradient_that_of_the_pass() -> None:
    """Under autocast, where weights are in fp32 and their products are not."""
    model = model_in(torch.float32)
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    with torch.autocast("cpu", torch.bfloat16), labels_in_fp32(model, LABELS) as corrected:
        seen = model(ids, logits_to_keep=2).logits[ALL][:, LABELS]
    assert seen.dtype == torch.bfloat16 and not model.lm_head._forward_pre_hooks
    found = corrected(seen, ALL)
    rounded = seen.float()
    assert torch.allclose(found, rounded, rtol=torch.finfo(torch.bfloat16).eps, atol=1e-3)
    assert not torch.equal(found, rounded) and torch.equal(found.bfloat16(), seen)
    torch.autograd.backward(found.square().sum(), retain_graph=True)
    slope = model.lm_head.weight.grad
    model.zero_grad()
    torch.autograd.backward((2 * found.detach() * rounded).sum())
    assert slope is not None and torch.equal(slope, model.lm_head.weight.grad)


def test_in_training_a_model_is_only_corrected_where_its_labels_are_rounded() -> None:
    model, ids = model_in(torch.float32), torch.tensor([[3, 4, 5], [6, 7, 8]])
    with labels_in_fp32(model, LABELS) as corrected:
        seen = model(ids, logits_to_keep=2).logits[ALL][:, LABELS]
    assert torch.equal(corrected(seen, ALL), seen)
    with torch.autocast("cpu", torch.bfloat16), labels_in_fp32(model, LABELS) as corrected:
        capped = 2 * torch.tanh(model(ids, logits_to_keep=2).logits[ALL][:, LABELS].float() / 2)
    assert torch.equal(corrected(capped, ALL), capped), "something is done to them behind the output layer"


@pytest.mark.parametrize("how", ["sharing", "recorded", "in step"])
@pytest.mark.parametrize("prefill", ["<answer>", ""])
def test_a_verdict_in_bf16_has_more_digits(
    tiny_model: Path, how: str, prefill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at the prompt's end, and behind a rationale."""
    backend = TransformersBackend(tiny_model, dtype="bfloat16", batching=Batching(rows=8))
    backend._shares &= how != "in step"
    recorder = Recorder()
    if how == "recorded":
        backend._recording = Recording(recorder)
    verdict = VerdictReading(close_on_budget=True)
    asked = [
        GenerationRequest((Message("user", f"word {i}"),), (0,), Decoding(0.0, 1.0, 8), prefill, verdict=verdict)
        for i in range(6)
    ]

    def margins() -> list[float]:
        found = dict(backend.generate(asked))
        read = [found[i][0].label_logprobs or {} for i in range(6)]
        return [each["A"] - each["B"] for each in read]

    assert backend.id.endswith("+labels-fp32:bfloat16"), "what was read from rounded ones is not found in journals"
    fine = margins()
    assert bool(recorder.replayed) == (how == "recorded" and not prefill)
    monkeypatch.setattr(LabelLogits, "refined", lambda _, logits, ids: logits)
    coarse = margins()
    assert fine == pytest.approx(coarse, abs=0.1) and fine != coarse
