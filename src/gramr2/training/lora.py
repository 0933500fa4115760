"""peft's config for low-rank adapters, for every trainer that takes a ``TrainingConfig``."""

from __future__ import annotations

from typing import Any, Literal

from gramr2.config.training import TrainingConfig


def adapters(config: TrainingConfig, task: Literal["CAUSAL_LM", "SEQ_CLS"]) -> Any | None:
    """peft's config for adapters on every linear layer; None if all weights are trained.

    A scalar head (``SEQ_CLS``) is new and has nothing to adapt: peft trains it whole.
    """
    if config.method != "lora":
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules="all-linear",
        task_type=task,
    )
