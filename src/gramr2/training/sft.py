"""Fine-tuning a judge or a proving model: next-token cross-entropy on y = rationale ⊕ verdict, none on the prompt (GRAM-R², §3).

The trainer is TRL's. It gets token ids rather than text, from the encoder that inference uses, so that special-token text
in a response stays text here too and both sides see the same boundaries.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import Dataset
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import choose_device, keep_freed_memory, release_freed_memory
from gramr2.backends.loading import loading
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.training import EarlyStopConfig, ModelConfig, TrainingConfig
from gramr2.data.level import is_fixed, swaps_to_level
from gramr2.data.split import fraction, split_by_prompt
from gramr2.errors import DataError, MissingDependencyError, RunError
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeTemplate
from gramr2.training.lora import adapters

log = logging.getLogger("gramr2")

StepCallback = Callable[[int, int, float | None], None]
"""Called with (optimiser steps done, steps in all, latest loss)."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A comparison as shown, with the label and rationale to be written for it."""

    comparison: Comparison
    label: Label
    rationale: str | None


class AnswerTemplate(Protocol):
    """Says what is asked and what is to be answered: ``JudgeTemplate`` or ``ProvingTemplate``."""

    def conversation(
        self, comparison: Comparison, label: Label, rationale: str | None
    ) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """The prompt's messages, and the answer in pieces whose ends are token boundaries."""
        ...


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did: ``loss`` is the mean over completion tokens and all steps.

    ``held_out`` comparisons stopped it early; ``held_out_losses`` are the mean losses on them, epoch by epoch, and the weights
    are those of the lowest.
    """

    examples: int
    steps: int
    prompt_tokens: int
    completion_tokens: int
    loss: float
    seconds: float
    held_out: int = 0
    held_out_losses: tuple[float, ...] = ()


def examples_from(labeled: Sequence[LabeledComparison], orders: str, seed: int) -> list[TrainingExample]:
    """The examples that labelled comparisons give: ``both`` orders, or (``hashed``) one each, drawn from (seed, id).

    Of one order each, A and B are equally often right, or differ by one. A rationale that speaks of a bare «A» or «B» cannot
    be swapped by rule, so such an item stays in its stored order.
    """
    if orders == "both":
        shown = [each for item in labeled for each in ([item] if is_fixed(item) else [item, item.swap()])]
    else:
        swaps = swaps_to_level(labeled, seed)
        shown = [
            item.swap() if swap or (item.label is Label.TIE and _tie_swapped(item, seed)) else item
            for item, swap in zip(labeled, swaps, strict=True)
        ]
    return [TrainingExample(each.comparison, each.label, each.rationale) for each in shown]


def _tie_swapped(item: LabeledComparison, seed: int) -> bool:
    return not is_fixed(item) and fraction(seed, "order", item.comparison.id) < 0.5


def held_out_of(
    items: Sequence[LabeledComparison], settings: EarlyStopConfig | None, seed: int
) -> tuple[Sequence[LabeledComparison], Sequence[LabeledComparison]]:
    """What to train on, and what stops the training: nothing without settings, or where it would be too little."""
    if settings is None:
        return items, ()
    rest, held_out = split_by_prompt(items, settings.share, seed)
    if len(held_out) < settings.min_comparisons:
        log.warning(
            "no early stop: %d of %d comparisons would be held out, and it takes %d (early_stop.min_comparisons)",
            len(held_out),
            len(items),
            settings.min_comparisons,
        )
        return items, ()
    return rest, held_out


def encode(example: TrainingExample, encoder: Encoder, template: AnswerTemplate) -> dict[str, list[int]]:
    """Token ids of prompt and answer, with a mask that is 1 on the answer (and on the end-of-turn token)."""
    messages, pieces = template.conversation(example.comparison, example.label, example.rationale)
    answer = [i for piece in pieces for i in encoder.fragment(piece)]
    end = encoder.tokenizer.eos_token_id
    answer += [] if end is None else [end]
    prompt = encoder.prompt(messages)
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}


def fine_tune(
    start: Path,
    into: Path,
    examples: Sequence[TrainingExample],
    template: AnswerTemplate,
    config: TrainingConfig,
    model_config: ModelConfig,
    *,
    seed: int,
    on_step: StepCallback | None = None,
    held_out: Sequence[TrainingExample] = (),
) -> TrainingReport:
    """Fine-tune the model in ``start`` and save a complete, merged model with its tokenizer in ``into``.

    With ``held_out`` examples, and ``early_stop`` in the config, training ends when their loss has not fallen for ``patience``
    epochs, and the weights of the best epoch are saved.

    With a ``JudgeTemplate`` it becomes a judge, with a ``ProvingTemplate`` a preference-proving model: the loss
    −log π(answer | prompt) is the same. ``into`` appears only when finished.

    Raises:
        DataError: there is nothing to train on.
        MissingDependencyError: a tracker is not installed.
        RunError: the model cannot be written, as when the disk is full.
    """
    if not examples:
        raise DataError("there is no example to train on")
    for tracker in config.report_to:
        if importlib.util.find_spec(tracker) is None:
            raise MissingDependencyError(tracker, tracker, f"report_to: {tracker}")
    set_seed(seed % (1 << 31))
    keep_freed_memory()
    device = choose_device(model_config.device)
    with loading("the model", start):
        tokenizer = AutoTokenizer.from_pretrained(start, trust_remote_code=model_config.trust_remote_code)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    encoder = Encoder(tokenizer, model_config.chat_template_options)
    rows = [encode(example, encoder, template) for example in examples]
    held_rows = [encode(example, encoder, template) for example in held_out] if config.early_stop else []
    # Master weights stay in fp32: at 1e-5 most bf16 updates would round to nothing.
    with loading("the model", start):
        model = AutoModelForCausalLM.from_pretrained(
            start, dtype=torch.float32, trust_remote_code=model_config.trust_remote_code, use_safetensors=True
        )
    scratch = into.with_name(into.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with _tracking_in(into.with_name("tracking")):
        trainer = SFTTrainer(
            model=model,
            args=_arguments(
                config, scratch, len(rows), device, seed, "-".join(into.absolute().parts[-4:-1]), stops=bool(held_rows)
            ),
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(held_rows) if held_rows else None,
            processing_class=tokenizer,
            peft_config=adapters(config, "CAUSAL_LM"),
            callbacks=[
                *([_Steps(on_step)] if on_step else []),
                *([EarlyStoppingCallback(config.early_stop.patience)] if held_rows and config.early_stop else []),
            ],
        )
    for callback in ("PrinterCallback", "ProgressCallback"):
        _remove(trainer, callback)
    try:
        outcome = trainer.train()
        trained: Any = trainer.model
        if config.method == "lora":
            trained = trained.merge_and_unload()
        trained.config.use_cache = True
        trained.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
    except SafetensorError as error:
        # safetensors reports a full disk as an error of its own, with the system's words in it.
        raise RunError(f"{scratch}: the model cannot be written: {error}") from error
    report = TrainingReport(
        examples=len(rows),
        steps=int(outcome.global_step),
        prompt_tokens=sum(row["completion_mask"].count(0) for row in rows),
        completion_tokens=sum(sum(row["completion_mask"]) for row in rows),
        loss=float(outcome.training_loss),
        seconds=float(outcome.metrics["train_runtime"]),
        held_out=len(held_rows),
        held_out_losses=tuple(entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry),
    )
    for leftover in scratch.glob("checkpoint-*"):
        shutil.rmtree(leftover)
    # A checkpoint brings a card of TRL's along, which names the scratch folder.
    for name in ("training_args.bin", "README.md"):
        (scratch / name).unlink(missing_ok=True)
    (scratch / "gramr2_training.json").write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    if isinstance(template, JudgeTemplate):
        save_template(template, scratch)
    shutil.rmtree(into, ignore_errors=True)
    scratch.rename(into)
    del trainer, trained, model
    release_freed_memory()
    return report


@contextmanager
def _tracking_in(folder: Path) -> Iterator[None]:
    """TensorBoard would write beside the weights; it takes another place from the environment, when the trainer is made."""
    key = "TENSORBOARD_LOGGING_DIR"
    before = os.environ.get(key)
    if before is None:
        # What a training that was cut off has left there would be drawn over this one.
        shutil.rmtree(folder, ignore_errors=True)
    os.environ[key] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]


def _arguments(
    config: TrainingConfig, folder: Path, examples: int, device: torch.device, seed: int, name: str, stops: bool
) -> SFTConfig:
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)
    epochs = config.epochs_for(examples)
    steps = max(1, round(epochs * examples / config.batch_size))
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // micro,
        learning_rate=config.learning_rate,
        warmup_steps=round(config.warmup_ratio * steps),
        weight_decay=config.weight_decay,
        lr_scheduler_type="cosine",
        bf16=_bf16(config.precision, device),
        use_cpu=device.type == "cpu",
        completion_only_loss=True,
        max_length=None,
        packing=False,
        activation_checkpointing=device.type != "cpu",
        # Padding is pure waste on a CPU: neighbours in length share a batch.
        train_sampling_strategy="group_by_length",
        logging_steps=1,
        eval_strategy="epoch" if stops else "no",
        per_device_eval_batch_size=micro,
        save_strategy="epoch" if stops else "no",
        save_total_limit=1 if stops else None,
        save_only_model=True,
        load_best_model_at_end=stops,
        metric_for_best_model="eval_loss" if stops else None,
        report_to=config.report_to or "none",
        run_name=name,
        project="gramr2",
        disable_tqdm=True,
        seed=seed % (1 << 31),
        data_seed=seed % (1 << 31),
        dataloader_pin_memory=device.type == "cuda",
    )


def _bf16(precision: str, device: torch.device) -> bool:
    """Whether products are computed in bf16; the weights stay in fp32 either way."""
    if precision != "auto":
        return precision == "bfloat16"
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


class _Steps(TrainerCallback):  # type: ignore[misc]
    def __init__(self, on_step: StepCallback) -> None:
        self._on_step = on_step
        self._loss: float | None = None

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._on_step(state.global_step, state.max_steps, self._loss)


def _remove(trainer: SFTTrainer, name: str) -> None:
    """Library progress output is ours to show."""
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == name:
            trainer.remove_callback(callback)
