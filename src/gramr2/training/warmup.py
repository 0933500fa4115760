"""Next-token training on unlabelled text, before a model learns to judge (GRAM, arXiv 2506.14175, pre-trains on pairs this way).

Texts are encoded as inference encodes them: special-token text inside them stays text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import TrainingArguments, set_seed

from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import choose_device, keep_freed_memory, release_freed_memory
from gramr2.backends.registry import fingerprint
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import DataError
from gramr2.training.checkpoints import ResumingTrainer, clear, latest, mark_of, prepare
from gramr2.training.lora import adapters
from gramr2.training.parts import (
    StepCallback,
    Steps,
    Trims,
    appearing,
    in_bf16,
    load_for_training,
    need_trackers,
    on_one_gpu,
    refuse_nan,
    silence,
    tracking_in,
)
from gramr2.training.texts import Text, WarmupJob, WarmupReport

IGNORED = -100
Row = dict[str, list[int]]


def encode(text: Text, encoder: Encoder, prompt_loss: bool) -> Row:
    """Token ids of prompt, answer and end token, and the same as labels where they carry loss (never the first token)."""
    prompt = encoder.prompt(text.prompt)
    end = encoder.tokenizer.eos_token_id
    answer = encoder.fragment(text.answer) + ([] if end is None else [end])
    ids = prompt + answer
    first = 1 if prompt_loss else max(1, len(prompt))
    return {"input_ids": ids, "labels": [IGNORED] * first + ids[first:]}


def warm_up(
    start: Path,
    into: Path,
    job: WarmupJob,
    model_config: ModelConfig,
    *,
    seed: int,
    on_step: StepCallback | None = None,
) -> WarmupReport:
    """Train the model in ``start`` on the job's texts and save it, merged, with its tokenizer in ``into``.

    ``into`` appears only when the warm-up is finished; an interrupted one resumes from its last checkpoint, in ``into``.tmp.

    Raises:
        DataError: no text fits.
        MissingDependencyError: a tracker is not installed.
        RunError: the model cannot be written.
    """
    config = job.training
    need_trackers(config.report_to)
    set_seed(seed % (1 << 31))
    keep_freed_memory()
    device = choose_device(model_config.device)
    model, tokenizer = load_for_training(start, model_config)
    encoder = Encoder(tokenizer, model_config.chat_template_options)
    encoded = [encode(text, encoder, job.prompt_loss) for text in job.texts]
    rows = [row for row in encoded if len(row["input_ids"]) <= job.max_tokens]
    # Measured on the answers alone, so that the figure means the same with and without loss on the prompt.
    measured = [encode(text, encoder, prompt_loss=False) for text in job.held_out]
    held = [row for row in measured if len(row["input_ids"]) <= job.max_tokens]
    if not rows:
        raise DataError(
            f"the warm-up has no text to train on: {len(encoded)} of {len(encoded)} are longer than {job.max_tokens} tokens"
        )
    parameters = model.num_parameters()
    peft = adapters(config, "CAUSAL_LM")
    if peft is not None:
        from peft import get_peft_model

        model = get_peft_model(model, peft)
    with appearing(into) as scratch:
        arguments = _arguments(config, scratch, len(rows), device, seed, parameters)
        settings = config.model_dump(mode="json")
        prepare(
            scratch,
            mark_of(fingerprint(start), rows, config=settings, seed=seed, bf16=arguments.bf16, device=device.type),
        )
        with tracking_in(into.with_name("tracking")):
            trainer = _Trainer(
                checkpoint=latest(scratch),
                model=model,
                args=arguments,
                train_dataset=rows,
                data_collator=_Padded(tokenizer.pad_token_id or 0),
                callbacks=[
                    *([Trims()] if device.type == "cpu" else []),
                    *([Steps(on_step)] if on_step else []),
                ],
            )
        silence(trainer)
        before = trainer.mean_loss(held)
        seconds = trainer.run()
        refuse_nan(trainer.model)
        after = trainer.mean_loss(held)
        trained: Any = trainer.model
        if peft is not None:
            trained = trained.merge_and_unload()
        trained.config.use_cache = True
        trained.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        clear(scratch)
    report = WarmupReport(
        examples=len(rows),
        left_out=len(encoded) - len(rows) + len(measured) - len(held),
        tokens=sum(len(row["input_ids"]) for row in rows),
        steps=int(trainer.state.global_step),
        seconds=round(seconds, 1),
        held_out=len(held),
        before=before,
        after=after,
    )
    del trainer, trained, model
    release_freed_memory()
    return report


class _Padded:
    """Turns rows into one batch, padded on the right, where no token of a row sees the padding."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)

        def padded(key: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[key] + [fill] * (width - len(row[key])) for row in rows])

        mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows])
        return {
            "input_ids": padded("input_ids", self._pad),
            "labels": padded("labels", IGNORED),
            "attention_mask": mask,
        }


class _Trainer(ResumingTrainer):
    """A trainer that computes no logits before the first token that carries loss."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.model_accepts_loss_kwargs = True  # the loss below is a mean over all micro-batches of a step

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Mean cross-entropy over the tokens of the step that carry loss."""
        count = (inputs["labels"] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return _summed_loss(model, inputs) / count

    @torch.no_grad()
    def mean_loss(self, rows: Sequence[Row]) -> float | None:
        """Mean cross-entropy over the tokens that carry loss; None without rows."""
        if not rows:
            return None
        self.model.eval()
        device, size = self.args.device, self.args.per_device_train_batch_size
        ordered = sorted(rows, key=lambda row: -len(row["input_ids"]))
        total, count = 0.0, 0
        for start in range(0, len(ordered), size):
            batch = self.data_collator(ordered[start : start + size])
            count += int((batch["labels"] != IGNORED).sum())
            with torch.autocast(device.type, torch.bfloat16, enabled=self.args.bf16):
                total += float(_summed_loss(self.model, {key: value.to(device) for key, value in batch.items()}))
        return total / count


def _summed_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    labels, mask = batch["labels"], batch["attention_mask"]
    first = int((labels != IGNORED).any(0).nonzero()[0])
    kept = labels.shape[1] - first
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=kept + 1,
    ).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1).float(), labels[:, -kept:].flatten(), reduction="sum")


def _arguments(
    config: TrainingConfig, folder: Path, examples: int, device: torch.device, seed: int, parameters: int
) -> TrainingArguments:
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)
    steps = max(1, round(config.epochs * examples / config.batch_size))
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // micro,
        learning_rate=config.rate_for(parameters),
        warmup_steps=round(config.warmup_ratio * steps),
        weight_decay=config.weight_decay,
        lr_scheduler_type="cosine",
        bf16=in_bf16(config.precision, device, parameters),
        use_cpu=device.type == "cpu",
        gradient_checkpointing=device.type != "cpu",
        gradient_checkpointing_kwargs={"use_reentrant": False},
        remove_unused_columns=False,
        train_sampling_strategy="group_by_length",
        logging_steps=1,
        save_strategy="no",
        save_total_limit=1,
        restore_callback_states_from_checkpoint=True,
        report_to=config.report_to or "none",
        run_name="warm-up",
        project="gramr2",
        disable_tqdm=True,
        seed=seed % (1 << 31),
        data_seed=seed % (1 << 31),
        dataloader_pin_memory=device.type == "cuda",
    )
    return on_one_gpu(arguments)
