"""The arguments of transformers' trainer: how a step is divided, what stops training, in which precision it multiplies."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from gramr2.backends.memory import free_memory
from gramr2.config.training import TrainingConfig
from gramr2.errors import ConfigError
from gramr2.training.objective import Objective
from gramr2.training.parts import in_bf16, on_one_gpu

log = logging.getLogger("gramr2")

ACTIVATION_BYTES = 64
"""per token and layer, per unit of the hidden size: 34 if everything is in 16 bits (Korthikanti et al. 2022, §4.1,
without the attention matrix), and as much again for the fp32 parts of autocast and for adapters"""
SHARE_FOR_ACTIVATIONS = 0.25
"""of a GPU's free memory: gradients, moments and other processes need the rest"""
ACTIVATION_BYTES_CPU = 82
"""as ``ACTIVATION_BYTES``, measured on SmolLM2-135M: 82 with fp32 products, 69 with bf16 (resident memory less that of weights,
gradients and moments, 6,900 padded tokens)"""
SHARE_OF_RAM = 0.4
"""of the machine's free memory: two training runs that start at once each see all of it"""
AGREES = 0.02
"""largest relative difference between a step's losses in bf16 and fp32 at which bf16 is used"""


@dataclass(frozen=True, slots=True)
class Division:
    """How a step's comparisons are divided: among ``processes``, each with ``passes`` of ``micro`` comparisons."""

    processes: int
    micro: int
    passes: int


def divided(config: TrainingConfig) -> Division:
    """The division of ``batch_size``, which is that of the whole step, however many processes ``torchrun`` has started.

    Raises:
        ConfigError: it cannot be divided evenly.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1
    share, rest = divmod(config.batch_size, processes)
    if rest:
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be divided among {processes} processes: make it a multiple of them"
        )
    micro = min(config.micro_batch_size or share, share)
    if share % micro:
        raise ConfigError(
            f"batch_size {config.batch_size} gives each of {processes} processes {share} comparisons, which is not a "
            f"multiple of micro_batch_size {micro}: change one of them"
        )
    return Division(processes, micro, share // micro)


def within_memory(
    division: Division, config: TrainingConfig, device: torch.device, model: Any, tokens: int
) -> Division:
    """Smaller passes if a step's activations would not fit into a CPU's free memory; the step itself stays the same.

    A pass that is too large ends without a message, because the kernel kills the process. On a GPU, activations are
    recomputed instead (``recomputes``). Nothing changes with a ``micro_batch_size`` in the config, nor with several
    processes, which would each come to a different number.

    Args:
        tokens: number of padded tokens of the longest comparison, over all its sequences.
    """
    if device.type != "cpu" or config.micro_batch_size is not None or division.processes > 1:
        return division
    each = ACTIVATION_BYTES_CPU * tokens * _width(model)
    fits = SHARE_OF_RAM * free_memory() / each if each else math.inf
    micro = next((n for n in range(division.micro, 1, -1) if division.micro % n == 0 and n <= fits), 1)
    if micro < division.micro:
        log.info(
            "memory: passes of %d comparisons, because %d with %d tokens each would take %.1f GiB",
            *(micro, division.micro, tokens, division.micro * each / 2**30),
        )
    if fits < 1:
        log.warning(
            "memory: one comparison of %d tokens may take %.1f GiB, and %.1f GiB are free: if training is killed, set "
            "data.max_prompt_tokens, or train a smaller model",
            *(tokens, each / 2**30, free_memory() / 2**30),
        )
    return Division(division.processes, micro, division.passes * division.micro // micro)


def _width(model: Any) -> int:
    """Hidden size times number of layers; 0 if a model with its own code names them differently."""
    config = model.config.get_text_config(decoder=True)
    return int(getattr(config, "hidden_size", 0) * getattr(config, "num_hidden_layers", 0))


def arguments_for(
    config: TrainingConfig,
    division: Division,
    folder: Path,
    *,
    examples: int,
    held_out: int,
    device: torch.device,
    bf16: bool,
    seed: int,
    name: str,
    parameters: int = 0,
    recompute: bool = False,
) -> TrainingArguments:
    """The trainer's arguments for ``examples`` comparisons, not counting held-out ones, with checkpoints in ``folder``.

    Args:
        held_out: number of comparisons held out for early stopping; 0 trains for all epochs.
        bf16: whether products are computed in bf16.
        name: name of this training run in trackers.
        parameters: number of parameters of the model, on which the default learning rate depends.
        recompute: recompute activations in the backward pass (gradient checkpointing).
    """
    epochs = config.epochs_for(examples)
    steps = max(1, math.ceil(epochs * math.ceil(examples / config.batch_size)))
    # Batches of equal size, so that the mean of their losses is the mean over comparisons.
    equal = next((n for n in range(division.micro, 1, -1) if held_out % n == 0), 1)
    stops, gpu = held_out > 0, device.type != "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=division.micro,
        gradient_accumulation_steps=division.passes,
        learning_rate=config.rate_for(parameters),
        warmup_steps=round(config.warmup_ratio * steps),
        weight_decay=config.weight_decay,
        lr_scheduler_type="cosine",
        bf16=bf16,
        use_cpu=not gpu,
        gradient_checkpointing=recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False} if recompute else None,
        remove_unused_columns=False,
        # Padding is pure waste on a CPU: examples of similar length share a batch.
        train_sampling_strategy="group_by_length",
        logging_steps=1,
        # ``JudgeTrainer`` refuses such a loss itself; looking for it once more makes the processor wait for a GPU.
        logging_nan_inf_filter=False,
        eval_strategy="epoch" if stops else "no",
        per_device_eval_batch_size=equal,
        save_strategy="epoch" if stops else "no",
        save_total_limit=1,
        restore_callback_states_from_checkpoint=True,
        load_best_model_at_end=stops,
        metric_for_best_model="eval_loss" if stops else None,
        report_to=config.report_to or "none",
        run_name=name,
        project="gramr2",
        disable_tqdm=True,
        seed=seed % (1 << 31),
        data_seed=seed % (1 << 31),
        dataloader_pin_memory=device.type == "cuda",
        # A process whose comparisons lack a form makes one forward pass less, so no forward pass may wait for others.
        ddp_broadcast_buffers=False,
        ddp_find_unused_parameters=False,
    )
    return on_one_gpu(arguments)


def recomputes(device: torch.device, model: Any, tokens: int) -> bool:
    """Whether the activations of a forward pass of ``tokens`` padded tokens are recomputed in the backward pass.

    On a CUDA GPU, if they would not fit; on a GPU that does not report its free memory, always; on a CPU, never.
    """
    if device.type == "cpu":
        return False
    if device.type != "cuda":
        return True
    needed = ACTIVATION_BYTES * tokens * _width(model)
    return bool(needed > SHARE_FOR_ACTIVATIONS * torch.cuda.mem_get_info(device)[0])


def takes_bf16(
    precision: str,
    device: torch.device,
    processes: int,
    model: Any,
    objective: Objective,
    step: Callable[[], Iterable[dict[str, Any]]],
) -> bool:
    """Whether products are computed in bf16; the weights stay in fp32 either way.

    ``auto`` uses it on a GPU that supports it. On a CPU, a single process uses it if a probe finds it faster, the model is
    large enough to gain, and ``step``, the passes of one step, has the same loss in both; several processes do not, since
    their probes would disturb each other. A whole step is compared, because the loss of a few comparisons can differ by
    more than 2 % by chance.
    """
    probed = precision == "auto" and device.type == "cpu"
    if (probed and processes > 1) or not in_bf16(precision, device, model.num_parameters()):
        return False
    if not probed:
        return True
    losses = []
    for bf16 in (False, True):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            passes = [(float(objective(model, batch)[0]), batch["count"]) for batch in step()]
        losses.append(sum(loss * count for loss, count in passes) / sum(count for _, count in passes))
    agrees: bool = abs(losses[1] - losses[0]) <= AGREES * abs(losses[0])
    taken = "bf16 products, weights in fp32" if agrees else "fp32, because the loss in bf16 differs"
    log.info("training precision: %s (loss of a step: fp32 %.4f, bf16 %.4f)", taken, *losses)
    return agrees
