"""Trains the tiny language model that ships with the package, from scratch, in one seeded call.

A Llama with 1.6M parameters learns the documents of ``gramr2.research.lab.corpus`` in half an hour to an hour on two cores.
Its weights are stored in fp16, which halves the size, and loaded as fp32.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed

from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import keep_freed_memory
from gramr2.research.lab.corpus import KINDS, LAST_KINDS, Document, Kinds, documents
from gramr2.research.lab.tokenizer import build

SEED = 4
STEPS = 1375
BATCH = 64
CONTEXT = 1024
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the pretraining: its share of the steps, its documents, and its peak learning rate."""

    share: float
    kinds: Kinds
    learning_rate: float


STAGES = (Stage(0.8, KINDS, 2e-3), Stage(0.2, LAST_KINDS, 1e-3))


def pretrain(
    into: Path,
    *,
    steps: int = STEPS,
    seed: int = SEED,
    on_step: Callable[[int, int, float | None], None] | None = None,
) -> None:
    """Train the model and write it as a transformers folder."""
    set_seed(seed)
    keep_freed_memory()
    tokenizer = build()
    model = _new(tokenizer)
    done = 0
    for number, stage in enumerate(STAGES):
        count = max(1, round(stage.share * steps))
        told = _Steps(on_step, done, steps) if on_step else None
        train(
            model,
            tokenizer,
            documents(seed + number, stage.kinds),
            count,
            stage.learning_rate,
            seed + number,
            into,
            told,
        )
        done += count
    tokenizer.save_pretrained(into)


def _new(tokenizer: Any) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=160,
            intermediate_size=448,
            num_hidden_layers=5,
            num_attention_heads=5,
            num_key_value_heads=5,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(
    model: LlamaForCausalLM,
    tokenizer: Any,
    source: Iterator[Document],
    steps: int,
    learning_rate: float,
    seed: int,
    into: Path,
    told: TrainerCallback | None = None,
) -> None:
    """Train on ``steps`` batches of documents and write the weights as shipped; the model itself can be trained further."""
    encoder = Encoder(tokenizer)
    rows = [encode(document, encoder) for document in itertools.islice(source, steps * BATCH)]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(into),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=steps // 20,
            weight_decay=0.01,
            max_grad_norm=1.0,
            remove_unused_columns=False,
            save_strategy="no",
            logging_steps=20,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            seed=seed,
            data_seed=seed,
        ),
        train_dataset=rows,
        data_collator=_padded(tokenizer.pad_token_id),
        callbacks=[told] if told else [],
    )
    trainer.train()
    model.to(torch.float16).save_pretrained(into)
    model.to(torch.float32)


def encode(document: Document, encoder: Encoder) -> dict[str, list[int]]:
    """Token ids of a document, and labels: only the answer is learnt, not what it is given."""
    before = encoder.prompt(document.messages, *document.given)
    answer = [i for piece in document.answer for i in encoder.fragment(piece)]
    answer.append(int(encoder.tokenizer.eos_token_id or 0))
    return {"input_ids": before + answer, "labels": [IGNORED] * len(before) + answer}


def _padded(pad: int) -> Callable[[list[dict[str, list[int]]]], dict[str, torch.Tensor]]:
    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        gaps = [width - len(row["input_ids"]) for row in rows]
        return {
            "input_ids": torch.tensor([row["input_ids"] + [pad] * gap for row, gap in zip(rows, gaps, strict=True)]),
            "labels": torch.tensor([row["labels"] + [IGNORED] * gap for row, gap in zip(rows, gaps, strict=True)]),
            "attention_mask": torch.tensor([[1] * (width - gap) + [0] * gap for gap in gaps]),
        }

    return collate


class _Steps(TrainerCallback):  # type: ignore[misc]
    def __init__(self, on_step: Callable[[int, int, float | None], None], before: int, total: int) -> None:
        self._on_step, self._before, self._total = on_step, before, total

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._on_step(self._before + state.global_step, self._total, (logs or {}).get("loss"))
