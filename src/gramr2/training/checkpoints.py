"""Checkpoints within a training run: a run that was stopped resumes from the last one.

They are those of transformers' trainer (weights, moments, schedule, random state). This module decides when one is worth
its time and which run it belongs to, and makes a resumed run see the batches that it would have seen.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState, TrainerState
from transformers.trainer_pt_utils import LengthGroupedSampler

from gramr2.errors import RunError

log = logging.getLogger("gramr2")

SECONDS = 600.0
"""between two checkpoints, at least"""
SHARE = 0.02
"""of the training time that checkpoints may take: on a slow disk they are rarer"""
BYTES = 12
"""per trained parameter: its weight and two moments, in fp32"""
SPARE = 2
"""how many times a checkpoint's size must be free on the disk: the finished model is written beside it"""
MARK = "training.json"
STATE = "trainer_state.json"


def mark_of(start: str, shown: Iterable[object], **settings: object) -> str:
    """A digest of a training run; a run with another digest does not resume from its checkpoints.

    Args:
        start: digest of the weights that it starts from.
        shown: what it learns from, in order.
        settings: everything else that changes the result.
    """
    digest = hashlib.blake2b(digest_size=16)
    versions = [torch.__version__, transformers.__version__]
    digest.update(json.dumps([start, versions, settings], sort_keys=True, default=str).encode())
    for each in shown:
        digest.update(repr(each).encode())
    return digest.hexdigest()


def prepare(scratch: Path, mark: str) -> None:
    """Keep a scratch folder that has checkpoints of this training run; empty any other."""
    file = scratch / MARK
    if file.is_file() and file.read_text(encoding="utf-8") == mark:
        return
    if any(scratch.glob("checkpoint-*")):
        log.info("training: starts over, because the checkpoint is from other data, settings or versions")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    file.write_text(mark, encoding="utf-8")


def latest(scratch: Path) -> Path | None:
    """The last complete checkpoint in a scratch folder from which training can resume; None without one."""
    found = sorted(scratch.glob("checkpoint-*"), key=lambda folder: -int(folder.name.rpartition("-")[2]))
    return next((folder for folder in found if _state_of(folder) and _has_moments(folder)), None)


def clear(scratch: Path) -> None:
    """Remove what the trainer has left beside the model."""
    for folder in scratch.glob("checkpoint-*"):
        shutil.rmtree(folder)
    # A checkpoint leaves peft's model card, which names the scratch folder.
    for name in (MARK, "training_args.bin", "README.md"):
        (scratch / name).unlink(missing_ok=True)


class Checkpoints(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Requests a checkpoint every ``SECONDS`` or more, and keeps the total time of a training run.

    ``cost`` is the time that the last checkpoint took, in seconds.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self.cost = 0.0
        self._begun = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent on training, including the time before the checkpoint that it resumed from."""
        return self.before + time.monotonic() - self._begun

    def state(self) -> dict[str, Any]:
        """What a checkpoint stores of this callback."""
        return {"args": {}, "attributes": {"before": self.seconds}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._begun = self._saved = time.monotonic()

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, train_dataloader: Any = None, **_: Any
    ) -> None:
        """Request a checkpoint, in all processes at the same step; never after the last step, nor right before an epoch's
        evaluation, which a resumed run would skip."""
        now = time.monotonic()
        due = now - self._saved >= max(SECONDS, self.cost / SHARE) and state.global_step < state.max_steps
        if due and args.eval_strategy != "no":
            due = state.global_step % math.ceil(len(train_dataloader) / args.gradient_accumulation_steps) != 0
        if due and args.process_index == 0 and not fits(Path(args.output_dir), model):
            due, self._saved = False, now
        if args.world_size > 1:
            due = broadcast_object_list([due])[0]
        if due:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Restart the interval."""
        self._saved = time.monotonic()


class ResumingTrainer(Trainer):  # type: ignore[misc]
    """A trainer that resumes from a checkpoint to the same weights; options are those of ``transformers.Trainer``."""

    def __init__(self, *, checkpoint: Path | None = None, callbacks: Iterable[Any] = (), **options: Any) -> None:
        super().__init__(callbacks=[*callbacks, Checkpoints()], **options)
        self._checkpoint = checkpoint

    @property
    def _clock(self) -> Checkpoints:
        # Resuming from a checkpoint creates the callback again.
        return next(each for each in self.callback_handler.callbacks if isinstance(each, Checkpoints))

    def run(self) -> float:
        """Train or resume; returns the total seconds, because the trainer's own count restarts with every start.

        Raises:
            RunError: the checkpoint cannot be read; it is removed.
        """
        if self._checkpoint is None:
            self.train()
            return self._clock.seconds
        state = _state_of(self._checkpoint)
        log.info("training: resumes after step %d, from a checkpoint", state["global_step"])
        best = self._checkpoint.with_name(f"checkpoint-{state.get('best_global_step')}")
        if best.is_dir() and state.get("best_model_checkpoint") != str(best):
            # A run folder may have been renamed.
            (self._checkpoint / STATE).write_text(json.dumps(state | {"best_model_checkpoint": str(best)}), "utf-8")
        control = state["stateful_callbacks"]["TrainerControl"]["args"]
        if control["should_training_stop"] and best.is_dir():
            # Early stopping had already ended the run; the trainer would train for another epoch.
            self.state = TrainerState.load_from_json(str(self._checkpoint / STATE))
            self._load_best_model()
            return float(state["stateful_callbacks"]["Checkpoints"]["attributes"]["before"])
        self.train(resume_from_checkpoint=str(self._checkpoint))
        return self._clock.seconds

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        """Groups examples of similar length, in an order that depends neither on how a step is divided nor on dropout."""
        options = self.args
        whole = options.train_batch_size * options.gradient_accumulation_steps * options.world_size
        generator = torch.Generator().manual_seed(options.data_seed)
        sampler = LengthGroupedSampler(whole, dataset=train_dataset or self.train_dataset, generator=generator)
        if self._checkpoint is not None:
            # The trainer skips the batches of the current epoch, but leaves the generator at the start of the first epoch.
            for _ in range(_state_of(self._checkpoint)["global_step"] // math.ceil(len(sampler) / whole)):
                iter(sampler)
        return sampler

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with self._readable(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with self._readable(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    @contextmanager
    def _readable(self, folder: str | None) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever safetensors, pickle or torch raise for a damaged file
            if folder is None or self._checkpoint is None:
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise RunError(
                f"{folder} is damaged and removed ({type(error).__name__}: {error}): the same command starts the training over"
            ) from error

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint; if that fails, warn and continue, unless early stopping needs its weights.

        Raises:
            RunError: a checkpoint that early stopping needs, or one of several processes, cannot be written.
        """
        begun, needed = time.monotonic(), self.args.save_strategy != "no"
        if needed and self.args.world_size == 1:
            # The weights are needed, the moments are not.
            self.args.save_only_model = not fits(Path(self.args.output_dir), self.model)
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            if needed or self.args.world_size > 1:
                raise RunError(f"{folder} cannot be written: {error}") from error
            shutil.rmtree(folder, ignore_errors=True)
            log.warning("training continues without a checkpoint, which cannot be written: %s", error)
        self._clock.cost = time.monotonic() - begun


def fits(folder: Path, model: Any) -> bool:
    """Whether there is disk space for a checkpoint; logs a warning if not."""
    needed = SPARE * BYTES * sum(int(each.numel()) for each in model.parameters() if each.requires_grad)
    free = shutil.disk_usage(folder).free
    if free < needed:
        log.warning(
            "training continues without a checkpoint: %s has %.1f GB free, and %.1f GB are needed",
            *(folder, free / 1e9, needed / 1e9),
        )
    return free >= needed


def _state_of(folder: Path) -> dict[str, Any]:
    """The trainer's state, which is written last; empty if it is incomplete."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return state if isinstance(state, dict) and state["global_step"] else {}
    except (OSError, ValueError, KeyError):
        return {}


def _has_moments(folder: Path) -> bool:
    """Whether the optimiser's moments are there; the names are those of one process, FSDP, and DeepSpeed."""
    return any(each.name.startswith(("optimizer", "global_step")) for each in folder.iterdir())
