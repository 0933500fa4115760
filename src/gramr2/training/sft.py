"""Fine-tuning a judge or a proving model: next-token cross-entropy on y = rationale ⊕ verdict, none on the prompt
(GRAM-R², §3), plus the verdict's own loss (``gramr2.training.verdict``).

The trainer gets token ids rather than text, from the encoder that inference uses, so that special-token text in a
response stays text here too and both sides see the same boundaries.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from safetensors import SafetensorError
from transformers import (
    EarlyStoppingCallback,
    set_seed,
)

from gramr2.backends.base import VerdictReading
from gramr2.backends.cache import can_grow
from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import choose_device, keep_freed_memory, release_freed_memory
from gramr2.backends.registry import fingerprint
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import DataError, RunError
from gramr2.files import write_json
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeTemplate
from gramr2.training.arguments import arguments_for, divided, recomputes, takes_bf16, within_memory
from gramr2.training.batches import FORMS, Collator, Row, Rows
from gramr2.training.checkpoints import clear, latest, mark_of, prepare
from gramr2.training.examples import AnswerTemplate, TrainingExample, encode
from gramr2.training.lora import adapters
from gramr2.training.objective import Objective
from gramr2.training.parts import (
    StepCallback,
    Steps,
    Trims,
    filled,
    load_for_training,
    need_trackers,
    refuse_nan,
    silence,
    tracking_in,
)
from gramr2.training.trainer import JudgeTrainer

log = logging.getLogger("gramr2")

SHARING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
"""what accelerate launch sets for the processes whose config asks to share weights"""
REPORT = "gramr2_training.json"


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training run did: ``examples`` comparisons, and the mean ``loss`` of all steps.

    ``parts`` are the parts of the loss, means over the last tenth of the steps: ``{direct,reasoned}_answer_loss`` in nats
    per answer token, ``{direct,reasoned}_verdict_loss`` in nats per comparison, of both orders together if both are shown.
    ``held_out`` comparisons were used for early stopping; ``held_out_losses`` are the mean losses on them, epoch by epoch,
    and the weights are those of the best epoch (``parts`` are always of the last steps). ``micro_batch_size`` comparisons
    shared a forward pass.
    """

    examples: int
    steps: int
    prompt_tokens: int
    completion_tokens: int
    loss: float
    seconds: float
    held_out: int = 0
    held_out_losses: tuple[float, ...] = ()
    parts: dict[str, float] = field(default_factory=dict)
    precision: str = "float32"
    micro_batch_size: int = 0

    def write(self, folder: Path) -> None:
        """Save it beside the model."""
        write_json(folder / REPORT, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> TrainingReport:
        """The report that ``write`` saved."""
        row = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return cls(**row | {"held_out_losses": tuple(row["held_out_losses"])})


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

    With ``held_out`` examples, and ``early_stop`` in the config, training ends when their loss has not fallen for
    ``patience`` epochs, and the weights of the best epoch are saved.

    With a ``JudgeTemplate`` it becomes a judge, with a ``ProvingTemplate`` a preference-proving model, whose loss is
    −log π(answer | prompt) alone. ``into`` appears only when training is finished; an interrupted run resumes from its
    last checkpoint, in ``into``.tmp.

    Under ``torchrun`` or ``accelerate launch``, all processes share every step; the first one saves and reports progress, and all
    return the report.

    Raises:
        ConfigError: a step's comparisons cannot be divided among the processes.
        DataError: there is nothing to train on.
        MissingDependencyError: a tracker is not installed.
        RunError: the loss is NaN or infinite, or the model cannot be written, as when the disk is full.
    """
    if not examples:
        raise DataError("there is no example to train on")
    need_trackers(config.report_to)
    division = divided(config)
    set_seed(seed % (1 << 31))
    keep_freed_memory()
    device = choose_device(model_config.device)
    model, tokenizer = load_for_training(start, model_config)
    encoder = Encoder(tokenizer, model_config.chat_template_options)
    judges = isinstance(template, JudgeTemplate)
    label_ids = list(encoder.label_ids(VerdictReading()).values()) if judges else None
    rows, held_rows = (
        [Row(tuple(encode(each, encoder, template, verdict=judges) for each in example)) for example in some]
        for some in (examples, held_out if config.early_stop else ())
    )
    parameters = model.num_parameters()
    model = _adapted(model, config)
    tokens = [sum(len(each.answer) for each in row.sequences) for row in rows]
    forms = {FORMS[each.reasoned] for row in (*rows, *held_rows) for each in row.sequences}
    always = sorted(forms) if division.processes > 1 else ()
    objective = Objective(config, label_ids, fmean(tokens), always)
    # A shared beginning must be kept for the backward pass, which recomputed activations and a wrapped model rule out.
    full = can_grow(model.config)
    collate = Collator(device.type == "cpu" and division.processes == 1 and full, apart=full)
    data = Rows(rows)
    longest = max(map(_padded, (*rows, *held_rows)))
    # Release what a judge that was open before has left, so that it counts as free memory.
    release_freed_memory()
    division = within_memory(division, config, device, model, longest)
    size = division.micro

    def step() -> Iterator[dict[str, object]]:
        end = min(size * division.passes, len(data))
        for at in range(0, end, size):
            yield collate([data[i] for i in range(at, min(at + size, end))])

    bf16 = takes_bf16(config.precision, device, division.processes, model, objective, step)
    scratch, tracking = into.with_name(into.name + ".tmp"), into.with_name("tracking")
    arguments = arguments_for(
        config,
        division,
        scratch,
        examples=len(rows),
        held_out=len(held_rows),
        device=device,
        bf16=bf16,
        seed=seed,
        name="-".join(into.absolute().parts[-4:-1]),
        parameters=parameters,
        recompute=recomputes(device, model, division.micro * longest),
    )
    main = arguments.process_index == 0
    with arguments.main_process_first(local=False):
        if main:
            settings = config.model_dump(mode="json", exclude={"accelerate"})
            how = {"seed": seed, "bf16": bf16, "device": device.type, "processes": division.processes}
            mark = mark_of(fingerprint(start), (*rows, *held_rows), config=settings, **how)
            prepare(scratch, mark)
    checkpoint = latest(scratch)
    with tracking_in(tracking, clear=main and checkpoint is None and "tensorboard" in config.report_to):
        trainer = JudgeTrainer(
            objective,
            checkpoint=checkpoint,
            model=model,
            args=arguments,
            data_collator=collate,
            train_dataset=data,
            eval_dataset=Rows(held_rows) if held_rows else None,
            processing_class=tokenizer,
            callbacks=[
                *([Trims()] if device.type == "cpu" else []),
                *([Steps(on_step)] if on_step and main else []),
                *([EarlyStoppingCallback(config.early_stop.patience)] if held_rows and config.early_stop else []),
            ],
        )
    silence(trainer)
    if main and not trainer.shares_weights and any(os.environ.get(name) == "true" for name in SHARING):
        log.warning(
            "training: no weights are shared, which accelerate does on GPUs alone: every process holds all of them"
        )
    try:
        seconds = trainer.run()
        whole = trainer.whole_weights()
        if main:
            trained = trainer.model
            if whole is not None:
                trained = filled(_adapted(load_for_training(start, model_config)[0], config), whole)
            refuse_nan(trained)
            _save(trained, tokenizer, scratch)
    except SafetensorError as error:
        # safetensors reports a full disk as an error of its own, which contains the system's message.
        raise RunError(f"{scratch}: the model cannot be written: {error}") from error
    history = trainer.state.log_history
    report = TrainingReport(
        examples=len(rows),
        steps=int(trainer.state.global_step),
        prompt_tokens=sum(len(each.prompt) for row in rows for each in row.sequences),
        completion_tokens=sum(tokens),
        loss=fmean(entry["loss"] for entry in history if "loss" in entry),
        seconds=round(seconds, 4),
        held_out=len(held_rows),
        held_out_losses=tuple(entry["eval_loss"] for entry in history if "eval_loss" in entry),
        parts=_last_parts(history),
        precision="bfloat16" if bf16 else "float32",
        micro_batch_size=division.micro,
    )
    if main:
        report.write(scratch)
        if isinstance(template, JudgeTemplate):
            save_template(template, scratch, model_config.model_dump(mode="json")["chat_template_options"])
        shutil.rmtree(into, ignore_errors=True)
        scratch.rename(into)
    trainer.accelerator.wait_for_everyone()
    del trainer, model
    release_freed_memory()
    return report


def _last_parts(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean parts of the loss over the last tenth of the steps; a single step has few comparisons, perhaps not of all forms."""
    steps = [entry for entry in history if "loss" in entry]
    last = steps[-max(1, len(steps) // 10) :]
    return means([{name: value for name, value in entry.items() if name.endswith("_loss")} for entry in last])


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over the rows that have it."""
    names = sorted({name for row in rows for name in row})
    return {name: fmean(row[name] for row in rows if name in row) for name in names}


def _adapted(model: Any, config: TrainingConfig) -> Any:
    """The model, with adapters if they are what is trained."""
    peft_config = adapters(config, "CAUSAL_LM")
    if peft_config is None:
        return model
    from peft import get_peft_model

    return get_peft_model(model, peft_config)


def _padded(row: Row) -> int:
    """Number of tokens of an example's sequences, each padded to the longest."""
    return len(row.sequences) * max(each.length for each in row.sequences)


def _save(trained: Any, tokenizer: Any, folder: Path) -> None:
    """Save the model, with adapters merged, and the tokenizer; nothing else stays in the folder."""
    if hasattr(trained, "merge_and_unload"):
        trained = trained.merge_and_unload()
    trained.config.use_cache = True
    trained.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    clear(folder)
