"""How fast this machine is at a run's own work: a few comparisons are judged and a few steps trained, in a temporary folder."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from math import gcd
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import torch

from gramr2.backends.hardware import choose_device, choose_dtype, processor, release_freed_memory
from gramr2.backends.hidden_states import HiddenStates
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.training import TrainingConfig
from gramr2.data import subset
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Orders, Progress, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import REASONED
from gramr2.selftraining.cost.rates import Rates
from gramr2.selftraining.cost.sizes import Lengths
from gramr2.selftraining.cost.stages import Kind, Stage
from gramr2.selftraining.run.data import RunData
from gramr2.selftraining.run.engine import LocalEngine, TrainingJob
from gramr2.training.texts import WarmupJob, texts_of

T = TypeVar("T")
R = TypeVar("R")

SECONDS = 60.0
"""that a probe takes at most, but for the end of what it has begun"""
STEPS = 4
"""optimiser steps, of which the first is not counted"""
ROWS = 64
"""samples side by side in the probe, which has little time, and whose prompts the estimate of memory counts as if none were
shared"""
WRITTEN = 24
"""tokens of each rationale in the probe"""
DRAW = "probe"
KIB = 1024


def probe(
    config: RunConfig,
    data: RunData,
    stages: Sequence[Stage],
    note: Callable[[str], None] = lambda text: None,
    clock: Callable[[], float] = time.monotonic,
) -> Rates:
    """Measure a run's rates on this machine, with its own model, data, precision and batch.

    Args:
        stages: the run's plan.
        note: told what is measured next.
        clock: seconds.

    Raises:
        ModelError: the model cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="gramr2-probe-") as name:
        return _Probe(config, data, stages, Path(name), note, clock).rates()


class _Enough(Exception):  # noqa: N818
    """The steps that were wanted have been seen."""


class _Probe:
    def __init__(
        self,
        config: RunConfig,
        data: RunData,
        stages: Sequence[Stage],
        folder: Path,
        note: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.config, self.data, self.stages, self.folder = config, data, stages, folder
        self.note, self.clock, self.begun = note, clock, clock()
        self.engine = LocalEngine(config)
        self.start = self.engine.backbone(config.model)
        self.template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
        pool = data.pool or tuple(item.comparison for item in data.gold)
        self.pool = subset(pool, ROWS, config.seed)
        self.device = choose_device(config.model.device)
        # On a CPU it measures something once, which is not part of loading a model.
        choose_dtype(config.model.dtype, self.device)

    def rates(self) -> Rates:
        self.note(f"loading {self.config.model.name}")
        opening, backend = self._timed(self._open)
        with Journal(self.folder / "journal.jsonl") as journal:
            asked = JournaledBackend(backend, journal)
            self.note("judging a few comparisons")
            prefill = self._prefill(asked, backend)
            record = (self.folder / "journal.jsonl").stat().st_size / max(1, len(journal))
            decode = self._decode(asked, prefill, backend) if self.config.judge.mode == "reason" else None
        features = self._features(backend) if self._needs_features() else None
        del backend, asked
        warm_up, around_warm_up = self._warm_up(prefill) if self.config.warmup else (None, 0.0)
        self.note("training a few steps")
        training, around = self._training(prefill)
        release_freed_memory()
        return Rates(
            prefill=prefill,
            training=training,
            opening=opening,
            around=around,
            record=record,
            memory=_peak(self.device),
            seconds=self.clock() - self.begun,
            machine=processor(),
            decode=decode,
            features=features,
            warm_up=warm_up,
            around_warm_up=around_warm_up,
        )

    def _open(self) -> TransformersBackend:
        if self.config.model.backend != "transformers":
            self.note(f"judging is measured with transformers, not with {self.config.model.backend}")
        backend = self.engine.open(self.start, self.config.model.model_copy(update={"backend": "transformers"}))
        assert isinstance(backend, TransformersBackend)
        return backend

    @property
    def left(self) -> float:
        return SECONDS - (self.clock() - self.begun)

    def _timed(self, work: Callable[[], R]) -> tuple[float, R]:
        begun = self.clock()
        found = work()
        return max(self.clock() - begun, 1e-6), found

    def _growing(self, batch: int, work: Callable[[Sequence[Comparison]], float], share: float) -> float:
        """Units a second of ``work``, first on two comparisons and then on as many more as fit ``share`` of the time left, at
        most ``batch``."""
        first = self.pool[:2]
        seconds, units = self._timed(lambda: work(first))
        rest = self.pool[2 : 2 + batch]
        fits = int(share * self.left / (seconds / len(first)))
        if not rest or fits < 2:
            return units / seconds
        seconds, units = self._timed(lambda: work(rest[:fits]))
        return units / seconds

    def _prefill(self, asked: JournaledBackend, backend: TransformersBackend) -> float:
        judge = Judge(asked, replace(self.template, mode=JudgeMode.LABEL)).direct

        def work(some: Sequence[Comparison]) -> float:
            judge.judge(some, seed=self.config.seed)
            return _computed(judge, backend, some)

        return self._growing(ROWS // 2, work, 0.2)

    def _decode(self, asked: JournaledBackend, prefill: float, backend: TransformersBackend) -> float:
        pool = self.config.judge.pool
        votes = min(pool.votes, ROWS // 2)
        sampling = Sampling(votes, Orders(pool.orders), pool.temperature, pool.top_p, WRITTEN, True, True)
        shown = replace(self.template, mode=JudgeMode.REASON, readings=REASONED)
        judge = Judge(asked, shown, sampling)
        some = self.pool[: max(1, ROWS // (votes * len(sampling.orders.shown)))]
        seconds, found = self._timed(lambda: judge.judge(some, seed=self.config.seed))
        spent = _computed(judge, backend, some) / prefill
        tokens = sum(vote.completion_tokens for each in found for vote in each.judgments)
        return tokens / max(seconds - spent, 0.1 * seconds)

    def _needs_features(self) -> bool:
        return any(each.kind is Kind.FEATURES for each in self.stages)

    def _features(self, backend: TransformersBackend) -> float:
        states = HiddenStates(self.start, self.config.model, lambda: backend, self.folder / "features.sqlite")

        def work(some: Sequence[Comparison]) -> float:
            texts = [(each.prompt, response) for each in some for response in each.responses]
            states.of(texts)
            return sum(backend.count_tokens(prompt, response) + 1 for prompt, response in texts)

        return self._growing(8, work, 0.2)

    def _training(self, prefill: float) -> tuple[float, float]:
        """Tokens a second, and the seconds beside the steps, of a training like the seed judge's."""
        config = self.config.training
        stage = next(each for each in self.stages if each.kind is Kind.TRAIN and each.model == "round 0")
        tokens = stage.trained_tokens / stage.passes / stage.comparisons
        size = self._affordable(config.batch_size, tokens, prefill)
        drawn = [self._as_learnt(item, stage) for item in _typical(self.data.seed, STEPS * size, _comparison)]
        job = TrainingJob(drawn, self.template, _short(config, size), DRAW)
        into, model = self.folder / "model", self.config.model
        return self._steps(lambda watch: self.engine.train(self.start, into, job, model, watch), size * tokens)

    def _as_learnt(self, item: LabeledComparison, stage: Stage) -> LabeledComparison:
        """A comparison with words as many as its rationale will have, where one will be written for it first."""
        if self.config.judge.mode != "reason" or item.rationale is not None or not self.config.rationale.fills_seed:
            return item
        return replace(item, rationale="so " * round(max(each.answer for each in stage.learnt)))

    def _warm_up(self, prefill: float) -> tuple[float, float]:
        """The same of the warm-up."""
        settings, seed = self.config.warmup, self.config.seed
        assert settings is not None
        self.note("training a few steps of the warm-up")
        stage = next(each for each in self.stages if each.kind is Kind.WARM_UP)
        tokens = stage.learnt[0].whole.mean
        size = self._affordable(settings.batch_size, tokens, prefill)
        pool = _typical(self.data.pool, STEPS * size, lambda item: item)
        texts = texts_of(pool, settings.form, seed)[: STEPS * size]
        training = _short(settings.applied_to(self.config.training), size)
        job = WarmupJob(texts, (), training, settings.prompt_loss, 1 << 20, seed)
        into, model = self.folder / "warm-up", self.config.model
        return self._steps(lambda watch: self.engine.warm_up(self.start, into, job, model, watch), size * tokens)

    def _affordable(self, batch: int, tokens: float, prefill: float) -> int:
        """Examples in a step: the run's, or fewer if the steps would not end in time.

        Args:
            batch: the run's.
            tokens: of an example; training on one takes some three times as long as reading it.
            prefill: tokens read a second.
        """
        if self.config.training.accelerate:
            return batch
        return max(1, min(batch, int(0.7 * self.left * prefill / (STEPS * 3 * tokens))))

    def _steps(self, train: Callable[[Progress], object], tokens: float) -> tuple[float, float]:
        """Tokens a second over the steps after the first, which have ``tokens`` each, and the seconds beside all steps.

        A training that would take longer than is left is stopped after its second step, or its first if nothing is left.
        """
        ends: list[float] = []

        def watch(done: int, total: int) -> None:
            ends.append(self.clock())
            ahead = (total - done) * (ends[-1] - ends[-2]) if done > 1 else 0.0
            if done < total and ahead > self.left:
                raise _Enough

        whole, _ = self._timed(lambda: _until_enough(train, watch))
        each = (ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else whole
        return tokens / each, max(0.0, whole - each * len(ends))


def _short(config: TrainingConfig, size: int) -> TrainingConfig:
    """The settings of one pass with steps of ``size``."""
    micro = config.micro_batch_size
    changes: dict[str, Any] = {
        "epochs": 1,
        "min_steps": 0,
        "soup": 1,
        "early_stop": None,
        "report_to": [],
        "batch_size": size,
    }
    return config.model_copy(update=changes | {"micro_batch_size": micro and gcd(micro, size)})


def _comparison(item: LabeledComparison) -> Comparison:
    return item.comparison


def _until_enough(train: Callable[[Progress], object], watch: Progress) -> None:
    with suppress(_Enough):
        train(watch)


def _typical(items: Sequence[T], n: int, comparison: Callable[[T], Comparison]) -> list[T]:
    """``n`` of the items, those nearest to the mean length, again if there are fewer: steps of equal length can be compared."""

    def size(item: T) -> int:
        shown = comparison(item)
        return len(shown.prompt_text) + sum(map(len, shown.responses))

    mean = fmean(map(size, items))
    near = sorted(items, key=lambda item: abs(size(item) - mean))[:n]
    return [*islice(cycle(near), n)]


def _computed(judge: Judge, backend: TransformersBackend, some: Sequence[Comparison]) -> float:
    """Prompt tokens of the judge's requests without those that all begin with."""
    template = judge.template
    shown = [template.render(each.shown(order)) for each in some for order in judge.sampling.orders.shown]
    found = Lengths.of([backend.encoder.prompt(messages, template.prefill) for messages in shown])
    return found.n * (found.mean - found.shared)


def _peak(device: torch.device) -> int:
    """Bytes that the process has taken at most, of the GPU if it computes there."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
