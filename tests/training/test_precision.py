"""In which precision products are computed, and that what is decided is what happens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from teaching import ITEMS, apart, batch_of, encoder_of, objective_of, rows_of
from transformers import AutoModelForCausalLM

from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.template import JudgeTemplate
from gramr2.training import arguments, objective, parts, sft
from gramr2.training.arguments import takes_bf16
from gramr2.training.batches import Collator
from gramr2.training.examples import training_examples

CPU = torch.device("cpu")


class Scripted:
    """A model of any size, and an objective whose loss in bf16 is off by a share."""

    def __init__(self, parameters: int = 100_000_000, off: float = 0.0) -> None:
        self.parameters = parameters
        self.off = off

    def num_parameters(self) -> int:
        return self.parameters

    def __call__(self, model: object, batch: Any) -> tuple[torch.Tensor, dict[str, Any]]:
        return torch.tensor(batch["loss"] * (1 + self.off * torch.is_autocast_enabled("cpu"))), {}


def decides(stand_in: Scripted, precision: str = "auto", processes: int = 1) -> bool:
    # Three comparisons in two passes, with a loss of 2 on average.
    passes = [{"loss": 1.0, "count": 2}, {"loss": 4.0, "count": 1}]
    return takes_bf16(precision, CPU, processes, stand_in, stand_in, lambda: passes)  # type: ignore[arg-type]


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often the machine is asked; it always prefers bf16."""
    asked: list[bool] = []
    monkeypatch.setattr(parts, "prefers_bf16", lambda: asked.append(True) or True)
    return asked


@pytest.mark.usefixtures("probes")
@pytest.mark.parametrize(("off", "taken"), [(0.0, True), (0.019, True), (-0.019, True), (0.021, False), (-0.5, False)])
def test_losses_that_disagree_forbid_bf16(caplog: pytest.LogCaptureFixture, off: float, taken: bool) -> None:
    with caplog.at_level(logging.INFO, "gramr2"):
        assert decides(Scripted(off=off)) is taken
    assert ("fp32, because the loss in bf16 differs" in caplog.text) is not taken
    assert f"fp32 2.0000, bf16 {2 * (1 + off):.4f}" in caplog.text


@pytest.mark.usefixtures("probes")
def test_a_loss_that_is_no_number_forbids_it() -> None:
    assert decides(Scripted(off=float("nan"))) is False


def test_the_probe_is_asked_only_where_it_matters(probes: list[bool]) -> None:
    assert decides(Scripted(), "bfloat16") is True
    assert decides(Scripted(), "float32") is False
    assert decides(Scripted(parameters=1_000_000)) is False
    assert decides(Scripted(), processes=2) is False
    assert not probes
    assert decides(Scripted()) is True
    assert probes == [True]


def test_a_machine_that_gains_nothing_keeps_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "prefers_bf16", lambda: False)
    assert decides(Scripted()) is False


@pytest.mark.usefixtures("probes")
def test_a_real_model_agrees_with_itself(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "WORTH_BF16", 0)
    encoder = encoder_of(tiny_model)
    model, batch = AutoModelForCausalLM.from_pretrained(tiny_model), batch_of(rows_of(ITEMS, encoder), share=True)
    assert takes_bf16("auto", CPU, 1, model, objective_of(encoder), lambda: [batch]) is True
    monkeypatch.setattr(arguments, "AGREES", 0.0)
    assert takes_bf16("auto", CPU, 1, model, objective_of(encoder), lambda: [batch]) is False


def tune(start: Path, into: Path, **settings: Any) -> sft.TrainingReport:
    examples = training_examples(ITEMS, "both", 0, direct=True)
    config = TrainingConfig(epochs=1, min_steps=0, batch_size=8, **settings)
    return sft.fine_tune(start, into, examples, JudgeTemplate(), config, ModelConfig(name="x"), seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_reported_is_what_was_computed_in(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, precision: Literal["float32", "bfloat16"]
) -> None:
    seen: set[bool] = set()
    forward = objective.forward

    def watched(model: Any, form: Any) -> torch.Tensor:
        # The trainer's library switches precision within the model's forward, so that is where to look.
        inner = model.model.layers[0].mlp.register_forward_hook(
            lambda module, given, output: seen.add(output.dtype is torch.bfloat16)
        )
        try:
            return forward(model, form)
        finally:
            inner.remove()

    monkeypatch.setattr(objective, "forward", watched)
    assert tune(tiny_model, tmp_path / "m", precision=precision).precision == precision
    assert seen == {precision == "bfloat16"}


@pytest.mark.slow
def test_a_whole_step_decides_in_passes_that_fit(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only one comparison fits the memory, the precision is still decided on all of a step."""
    seen: list[int] = []

    def watched(*given: Any) -> bool:
        seen.extend(int(batch["count"]) for batch in given[-1]())
        return False

    monkeypatch.setattr(sft, "takes_bf16", watched)
    whole = tune(tiny_model, tmp_path / "a")
    assert seen == [len(ITEMS)] and whole.micro_batch_size == 8
    monkeypatch.setattr(arguments, "free_memory", lambda: 0)
    divided = tune(tiny_model, tmp_path / "b")
    assert seen == [len(ITEMS), *[1] * len(ITEMS)] and divided.micro_batch_size == 1
    assert divided.steps == whole.steps
    assert apart(tmp_path / "b", tmp_path / "a", tiny_model) < 1e-3


@pytest.mark.slow
def test_automatic_precision_falls_back_where_losses_disagree(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, probes: list[bool]
) -> None:
    monkeypatch.setattr(parts, "WORTH_BF16", 0)
    assert tune(tiny_model, tmp_path / "a").precision == "bfloat16"
    monkeypatch.setattr(arguments, "AGREES", 0.0)
    assert tune(tiny_model, tmp_path / "b").precision == "float32"
    assert len(probes) == 2


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 32])
def test_models_with_a_sliding_window_share_no_beginning_and_keep_the_first_token_with_its_row(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, window: int | None
) -> None:
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=4096, sliding_window=window,
    )  # fmt: skip
    MistralForCausalLM(config).save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    made: list[tuple[bool, bool]] = []

    def collator(share: bool, apart: bool) -> Collator:
        made.append((share, apart))
        return Collator(share, apart)

    monkeypatch.setattr(sft, "Collator", collator)
    assert tune(tmp_path / "start", tmp_path / "m").steps == 1
    assert made == [(window is None, window is None)]
