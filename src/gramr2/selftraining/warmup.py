"""The warm-up of a run: the backbone is trained on the pool's texts, once, before any other training."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gramr2.config.training import ModelConfig
from gramr2.data import subset
from gramr2.errors import DataError
from gramr2.files import write_json
from gramr2.selftraining.integrity import whole_model
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.manifest import seal
from gramr2.text import warm_up_line
from gramr2.training.texts import WarmupJob, hold_out, texts_of

if TYPE_CHECKING:
    from gramr2.selftraining.run.sharing import SeedJudges

REPORT = "report.json"


def start_of(context: RunContext, model: ModelConfig) -> Path:
    """The model that training starts from: the warmed-up backbone for the run's own model if there is a warm-up."""
    if context.config.warmup is not None and model == context.config.model:
        return context.folder.warmup / "model"
    return context.engine.backbone(model)


def warm_up(context: RunContext, shared: SeedJudges | None = None) -> None:
    """Make ``RUN/warmup`` with its ``model`` and ``report.json``, unless it exists or the run has no warm-up.

    Args:
        shared: where runs with the same start share it.

    Raises:
        DataError: no text is left to train on.
    """
    folder = context.folder.warmup
    if context.config.warmup is None:
        return
    whole_model(folder)
    if shared is None:
        if not folder.exists():
            _train(context, folder)
        return
    place = shared.warmup_address(context)
    with shared.alone(place):
        shared.take(place, folder, context.observer)
        whole_model(folder)
        if not folder.exists():
            _train(context, folder)
        shared.give(place, folder)


def _train(context: RunContext, folder: Path) -> None:
    job = warmup_job(context)
    # Renamed once model and report are complete. An interrupted training keeps its checkpoint here.
    scratch = folder.with_name("warmup.tmp")
    scratch.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(scratch / "model", ignore_errors=True)
    model = context.config.model
    with context.observer.task(f"warm up on {len(job.texts)} texts of the pool") as progress:
        report = context.engine.warm_up(context.engine.backbone(model), scratch / "model", job, model, progress)
    write_json(scratch / REPORT, asdict(report))
    seal(scratch)
    scratch.rename(folder)
    context.observer.note(warm_up_line(json.loads((folder / REPORT).read_text(encoding="utf-8"))))


def warmup_job(context: RunContext) -> WarmupJob:
    """The warm-up's texts, split into a training and a held-out part, and the settings to train with."""
    config, settings = context.config, context.config.warmup
    if settings is None:
        raise ValueError("the run has no warm-up")
    seed = config.seed if settings.seed is None else settings.seed
    pool = context.data.pool
    drawn = pool if settings.limit is None else subset(pool, settings.limit, seed)
    if not drawn:
        raise DataError(
            "the warm-up learns from data.pool, but no comparison in it fits the token budget: raise data.max_prompt_tokens"
        )
    texts, held_out = hold_out(texts_of(drawn, settings.form, seed), settings.held_out_share, seed)
    context_length = context.engine.counter().context_length
    return WarmupJob(
        texts,
        held_out,
        settings.applied_to(config.training),
        settings.prompt_loss,
        min(context_length, config.data.max_prompt_tokens or context_length),
        seed,
    )
