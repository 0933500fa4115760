"""The trainer of transformers with a judge's objective, whose parts it logs."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from gramr2.training.objective import Objective


class JudgeTrainer(Trainer):  # type: ignore[misc]
    """Trains on ``gramr2.training.batches.Rows``; options are those of ``transformers.Trainer``."""

    def __init__(self, objective: Objective, **options: Any) -> None:
        super().__init__(**options)
        self.objective = objective
        # The objective is a mean over comparisons, so the trainer is to divide by the accumulation steps.
        self.model_accepts_loss_kwargs = False
        self.part_losses: dict[str, float] = {}
        self._sums: dict[str, tuple[float, float]] = {}

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of some lessons, a scalar."""
        loss, parts = self.objective(model, inputs)
        if model.training:
            for name, (total, n) in parts.items():
                before = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = before[0] + total, before[1] + n
        return (loss, None) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        """The loss of held-out lessons."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs).detach()
        return loss, None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """The parts of the loss join what is logged: means since the last log, in nats per token or per comparison."""
        if "loss" in logs:
            self.part_losses = {name: total / n for name, (total, n) in self._sums.items() if n}
            self._sums.clear()
            logs = logs | self.part_losses
        super().log(logs, start_time)
