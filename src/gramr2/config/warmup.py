"""A warm-up on unlabelled text, before any training on labels."""

from __future__ import annotations

from math import gcd
from typing import Any, Literal

from pydantic import Field, model_validator

from gramr2.config.section import Section
from gramr2.config.training import TrainingConfig


class WarmupConfig(Section):
    """Next-token training on the pool's texts; every training that would start from the backbone starts from its result.

    ``method``, ``precision`` and all other settings not listed here are those of ``training``. A plain string in YAML is the
    ``form``.
    """

    form: Literal["responses", "pairs"] = "responses"
    """responses: each response to its prompt · pairs: both responses to the prompt, one after the other (the pre-training of
    GRAM, arXiv 2506.14175)"""
    prompt_loss: bool = True
    """train on the prompt's tokens too, not only on the responses'"""
    epochs: float = Field(default=1, gt=0)
    """passes over the texts"""
    learning_rate: float = Field(default=5e-5, gt=0)
    """peak learning rate; higher than that of ``training``, because text teaches less per token than verdicts do"""
    batch_size: int = Field(default=8, gt=0)
    """texts per optimiser step"""
    limit: int | None = Field(default=None, gt=0)
    """use the texts of this many pool comparisons, drawn with the seed; by default all are used"""
    seed: int | None = None
    """draw, hold out and shuffle with this seed instead of the run's. Runs on the same pool that differ only in their seed then
    have the same warm-up, and the cells of an ablation share it (a ``limit`` of the pool still draws with the run's seed)"""
    held_out_share: float = Field(default=0.05, ge=0, lt=1)
    """share of the texts that is not trained on; its loss before and after shows what the warm-up changed"""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"form": value} if isinstance(value, str) else value

    def applied_to(self, training: TrainingConfig) -> TrainingConfig:
        """A run's training settings, overridden by those of the warm-up."""
        micro = training.micro_batch_size
        return training.model_copy(
            update={
                "epochs": self.epochs,
                "learning_rate": self.learning_rate,
                "batch_size": self.batch_size,
                "micro_batch_size": micro and gcd(micro, self.batch_size),
                "min_steps": 0,
                "early_stop": None,
            }
        )
