"""The discriminative baseline: a scalar reward model trained with the Bradley-Terry loss −log σ(r(x, y⁺) − r(x, y⁻)).

The trainer is TRL's. Ties carry no information for this loss and are left out of training; when judging, two responses
whose rewards differ by less than a margin tie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, set_seed
from trl import RewardConfig, RewardTrainer

from gramr2.backends.conversations import Row
from gramr2.backends.encoding import Encoder
from gramr2.backends.hardware import choose_device, keep_freed_memory
from gramr2.backends.loading import loading
from gramr2.backends.pretrained import open_scalar, open_tokenizer, refuse_unembedded
from gramr2.backends.scalar import rewards_of
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import DataError
from gramr2.judging.preference import Ties, decided, margin_for
from gramr2.judgment import Decision
from gramr2.training.lora import adapters
from gramr2.training.parts import on_one_gpu

NO_TIES = Ties()


class RewardModel:
    """A scalar reward r(x, y); two responses whose rewards are near each other tie."""

    def __init__(self, model: Any, encoder: Encoder, device: torch.device, ties: Ties = NO_TIES) -> None:
        self.model = model.eval()
        self.encoder = encoder
        self.device = device
        self.ties = ties

    def rewards(self, items: Sequence[tuple[tuple[Message, ...], str]]) -> list[float]:
        """The reward of each (prompt, response), in the order given."""
        return rewards_of(self.model, [Row(_tokens(self.encoder, *item)) for item in items])

    def differences(self, comparisons: Sequence[Comparison]) -> list[float]:
        """r(A) − r(B) for each comparison."""
        values = self.rewards([(c.prompt, response) for c in comparisons for response in c.responses])
        return [values[i] - values[i + 1] for i in range(0, len(values), 2)]

    def tie_share(self, comparisons: Sequence[Comparison], share: float) -> None:
        """Set the margin so that this share of unlabelled comparisons ties; the margin is the only source of ties."""
        differences = self.differences(comparisons)
        self.ties = Ties(margin_for(differences, round(share * len(differences))))

    @cached_property
    def id(self) -> str:
        """Digest of the head, which every training run changes."""
        head = list(self.model.parameters())[-1].detach().float().cpu().numpy()
        return f"bradley-terry@{hashlib.blake2b(head.tobytes(), digest_size=6).hexdigest()}"

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """The label of each comparison, with P(A) = σ(r(A) − r(B)). It sees no order, so the orders always agree."""
        return decided(comparisons, self.differences(comparisons), self.ties)

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer as transformers does; the ties are not included."""
        self.model.save_pretrained(folder)
        self.encoder.tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]


def load_reward_model(folder: Path, model_config: ModelConfig) -> RewardModel:
    """A saved reward model.

    Raises:
        ModelError: it cannot be loaded.
    """
    device = choose_device(model_config.device)
    trusted = model_config.trust_remote_code
    tokenizer = open_tokenizer(folder, trust_remote_code=trusted)
    model = open_scalar(folder, trust_remote_code=trusted)
    refuse_unembedded(model, tokenizer, folder)
    with loading("the reward model", folder):
        encoder = Encoder(tokenizer, model_config.chat_template_options)
    return RewardModel(model.to(device), encoder, device)


def train_reward_model(
    start: Path,
    scratch: Path,
    labeled: Sequence[LabeledComparison],
    config: TrainingConfig,
    model_config: ModelConfig,
    *,
    seed: int,
) -> RewardModel:
    """Train on the comparisons that are not ties, with the method, epochs, batch size and learning rate of a judge.

    ``early_stop`` is ignored: training runs for all epochs.

    Raises:
        DataError: every comparison is a tie.
    """
    decided = [item if item.label is Label.A else item.swap() for item in labeled if item.label is not Label.TIE]
    if not decided:
        raise DataError("a Bradley-Terry model learns from comparisons with a better response, and these are all ties")
    set_seed(seed % (1 << 31))
    keep_freed_memory()
    device = choose_device(model_config.device)
    trusted = model_config.trust_remote_code
    tokenizer = open_tokenizer(start, trust_remote_code=trusted)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    encoder = Encoder(tokenizer, model_config.chat_template_options)
    model = open_scalar(start, trust_remote_code=trusted, new_head=True)
    refuse_unembedded(model, tokenizer, start)
    model.config.pad_token_id = tokenizer.pad_token_id
    rows = [
        {
            "chosen_ids": _tokens(encoder, item.comparison.prompt, item.comparison.responses[0]),
            "rejected_ids": _tokens(encoder, item.comparison.prompt, item.comparison.responses[1]),
        }
        for item in decided
    ]
    epochs = config.epochs_for(len(rows))
    trainer = RewardTrainer(
        model=model,
        args=on_one_gpu(
            RewardConfig(
                output_dir=str(scratch),
                num_train_epochs=epochs,
                per_device_train_batch_size=min(config.batch_size, len(rows)),
                learning_rate=config.rate_for(model.num_parameters()),
                lr_scheduler_type="cosine",
                warmup_steps=round(config.warmup_ratio * epochs * len(rows) / config.batch_size),
                max_length=None,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                bf16=False,
                gradient_checkpointing=False,
                use_cpu=device.type == "cpu",
                seed=seed % (1 << 31),
                data_seed=seed % (1 << 31),
            )
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapters(config, "SEQ_CLS"),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trained: Any = trainer.model.merge_and_unload() if config.method == "lora" else trainer.model
    return RewardModel(trained.to(device), encoder, device)


def _tokens(encoder: Encoder, prompt: tuple[Message, ...], response: str) -> list[int]:
    end = encoder.tokenizer.eos_token_id
    return encoder.prompt(prompt) + encoder.fragment(response) + ([] if end is None else [end])
