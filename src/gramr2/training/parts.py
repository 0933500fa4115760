"""The parts of training that do not depend on the loss: loading, precision, progress, trackers, a model that appears
only when complete."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from gramr2.backends.hardware import gpu_has_bf16, release_freed_memory
from gramr2.backends.loading import loading
from gramr2.backends.memory import free_memory, total_memory
from gramr2.backends.pretrained import answers, open_causal, open_tokenizer, refuse_unembedded
from gramr2.backends.probing import prefers_bf16
from gramr2.config.training import ModelConfig
from gramr2.errors import MissingDependencyError, RunError

WORTH_BF16 = 20_000_000
"""parameters below which matrices are too small to gain from bf16"""

SCARCE = 0.2
"""share of the machine's memory below which free memory is scarce"""
PAUSE = 20
"""steps before the next attempt to free memory"""

StepCallback = Callable[[int, int, float | None], None]
"""Called with (optimiser steps done, total steps, latest loss)."""


def load_for_training(start: Path, config: ModelConfig) -> tuple[Any, Any]:
    """A model with fp32 weights, and its tokenizer: at usual learning rates most updates of bf16 weights round to zero.

    Raises:
        ModelError: the folder cannot be loaded.
    """
    tokenizer = open_tokenizer(start, trust_remote_code=config.trust_remote_code)
    model = open_causal(start, dtype=torch.float32, trust_remote_code=config.trust_remote_code)
    refuse_unembedded(model, tokenizer, start)
    with loading("the model", start):
        answers(model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def in_bf16(precision: str, device: torch.device, parameters: int) -> bool:
    """Whether products are computed in bf16, by the rule of ``TrainingConfig.precision`` without its comparison of
    losses; the weights stay in fp32 either way."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return gpu_has_bf16()
    return device.type == "cpu" and parameters >= WORTH_BF16 and prefers_bf16()


def need_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that are not installed.

    Raises:
        MissingDependencyError: a tracker is not installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingDependencyError(name, name, f"report_to: {name}")


@contextmanager
def tracking_in(folder: Path, *, clear: bool = False) -> Iterator[None]:
    """Have TensorBoard write into a folder instead of beside the weights; it reads the folder from the environment when
    the trainer is created.

    Args:
        clear: remove what is in ``folder`` already.
    """
    key = "TENSORBOARD_LOGGING_DIR"
    before = os.environ.get(key)
    if before is None and clear:
        # What an interrupted training run has left there would be drawn over this one.
        shutil.rmtree(folder, ignore_errors=True)
    os.environ[key] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]


def on_one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """Keep a process on one GPU: the trainer would copy the model to every GPU it sees and multiply the batch by their number."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def silence(trainer: Trainer) -> None:
    """Remove the library's progress output: gramr2 shows its own."""
    for kind in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(kind)


def refuse_nan(model: Any) -> None:
    """Fail if the last step left weights that are NaN or infinite; after earlier steps the next step's loss shows it.

    Raises:
        RunError: there are some.
    """
    if not all(bool(weights.detach().isfinite().all()) for weights in model.parameters()):
        raise RunError(
            "training ended with weights that are NaN or infinite: lower its learning_rate, or set training.precision: float32; "
            "no model is saved"
        )


@contextmanager
def appearing(into: Path) -> Iterator[Path]:
    """A scratch folder that is renamed to ``into`` when the body has ended without an error; otherwise it stays.

    Raises:
        RunError: the model cannot be written, as when the disk is full.
    """
    scratch = into.with_name(into.name + ".tmp")
    try:
        yield scratch
    except SafetensorError as error:
        # safetensors reports a full disk as an error of its own, which contains the system's message.
        raise RunError(f"{scratch}: the model cannot be written: {error}") from error
    shutil.rmtree(into, ignore_errors=True)
    scratch.rename(into)


def filled(model: Any, weights: Mapping[str, torch.Tensor]) -> Any:
    """The model with these weights, which processes that shared them have put together.

    Raises:
        RunError: they are not the model's.
    """
    missing, unused = model.load_state_dict(weights, strict=False)
    # A head that is tied to the embedding is saved once.
    tied = {name for name, _ in model.named_parameters(remove_duplicate=False)} - {
        n for n, _ in model.named_parameters()
    }
    if wrong := sorted(({*missing} - tied) | {*unused}):
        raise RunError(f"the processes put together other weights than the model has ({wrong[0]}): report this")
    return model


class Trims(TrainerCallback):  # type: ignore[misc]
    """Returns freed memory that the process still holds when the machine runs low.

    Steps of many lengths leave gaps of many sizes (``keep_freed_memory``): training on texts of 130 to 1,700 tokens grew
    from 9 to 16 GB within some sixty steps. Each return costs the next step a second or two; if it does not help, because
    other processes hold the memory, the next attempt waits for a while.
    """

    def __init__(self) -> None:
        self._pause = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Check after every step."""
        self._pause = max(0, self._pause - 1)
        if self._pause or free_memory() >= SCARCE * total_memory():
            return
        release_freed_memory()
        if free_memory() < SCARCE * total_memory():
            self._pause = PAUSE


class Steps(TrainerCallback):  # type: ignore[misc]
    """Reports every optimiser step to a ``StepCallback``."""

    def __init__(self, on_step: StepCallback) -> None:
        self._on_step = on_step
        self._loss: float | None = None

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Remember the latest loss."""
        self._loss = (logs or {}).get("loss", self._loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Pass the step on."""
        self._on_step(state.global_step, state.max_steps, self._loss)
