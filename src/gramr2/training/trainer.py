"""transformers' trainer with a judge's objective, whose parts it logs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import Sampler

from gramr2.errors import RunError
from gramr2.training.batches import BLANK
from gramr2.training.checkpoints import ResumingTrainer
from gramr2.training.objective import Objective, Parts


class Even(Sampler[int]):
    """A sampler's indices, filled with blanks up to a multiple of ``size``: accelerate would repeat examples instead."""

    def __init__(self, sampler: Sampler[int], size: int) -> None:
        self.sampler, self.size = sampler, size

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.size) * self.size  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        indices = [*self.sampler]
        return iter(indices + [BLANK] * (len(self) - len(indices)))


class JudgeTrainer(ResumingTrainer):
    """Trains on ``gramr2.training.batches.Rows``; options are those of ``ResumingTrainer``.

    A step's loss is the mean over its comparisons, however it is divided into forward passes and among processes.
    """

    def __init__(self, objective: Objective, **options: Any) -> None:
        super().__init__(**options)
        self.objective = objective
        # Losses are divided by the number of comparisons in the step, so the trainer must not divide by its passes.
        self.model_accepts_loss_kwargs = True
        self._sums: Parts = {}

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """The sampler of ``ResumingTrainer``; for several processes, each gets as many examples, or blanks."""
        sampler, options = super()._get_train_sampler(train_dataset), self.args
        if options.world_size == 1:
            return sampler
        return Even(sampler, options.train_batch_size * options.world_size)

    @property
    def shares_weights(self) -> bool:
        """Whether each process holds a part of the weights, not all of them."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def whole_weights(self) -> dict[str, Any] | None:
        """All weights, put together in the first process, if the processes share them; all must call this."""
        if not self.shares_weights:
            return None
        found: dict[str, Any] = self.accelerator.get_state_dict(self.model_wrapped)
        return found

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The forward passes of a step, and its number of comparisons over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        here = torch.tensor([sum(each["count"] for each in samples)], device=device)
        return samples, self.accelerator.gather(here).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of some examples, a scalar; for a part of a step, its contribution to the step's mean.

        Raises:
            RunError: it is NaN or infinite.
        """
        loss, parts = self.objective(model, inputs)
        if model.training and not all(math.isfinite(total) for total, _ in parts.values()):
            # The trainer itself would continue, and save weights that are NaN.
            raise RunError(
                f"the loss is NaN or infinite after {self.state.global_step} steps: lower training.learning_rate, or set "
                "training.precision: float32; no model is saved"
            )
        if num_items_in_batch is not None:
            # Processes average their gradients.
            loss = loss * inputs["count"] * self.args.world_size / num_items_in_batch
        if model.training:
            _add(self._sums, parts)
        return (loss, None) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        """The mean loss of held-out examples."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, inputs).detach()
        return loss, None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the parts of the loss to the log: means since the last log, in nats per token or per comparison."""
        if "loss" in logs:
            total: Parts = {}
            for each in gather_object([self._sums]):
                _add(total, each)
            self._sums.clear()
            logs = logs | {name: part / n for name, (part, n) in total.items() if n}
        super().log(logs, start_time)


def _add(sums: Parts, more: Parts) -> None:
    for name, (total, n) in more.items():
        before = sums.get(name, (0.0, 0.0))
        sums[name] = before[0] + total, before[1] + n
