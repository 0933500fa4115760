"""Interfaces the loop depends on: models and a trainer. Tests supply their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gramr2.backends.base import Backend
from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.budget import TokenCounter
from gramr2.judging.judge import Progress
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.template import JudgeTemplate

if TYPE_CHECKING:
    from gramr2.backends.spread import SpreadBackend
    from gramr2.training.sft import TrainingReport
    from gramr2.training.texts import WarmupJob, WarmupReport


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to train on and how; ``stage`` names the training within the run and seeds it."""

    items: Sequence[LabeledComparison]
    template: JudgeTemplate | ProvingTemplate
    training: TrainingConfig
    stage: str


class Engine(Protocol):
    """Opens models and trains them."""

    def backbone(self, model: ModelConfig) -> Path:
        """The folder of a pretrained model."""
        ...

    def counter(self) -> TokenCounter:
        """A token counter for the run's model; it loads no weights."""
        ...

    def open(self, folder: Path, model: ModelConfig) -> Backend:
        """A backend for a model folder, with these settings. The previous backend is released."""
        ...

    def train(self, start: Path, into: Path, job: TrainingJob, model: ModelConfig, progress: Progress) -> Any:
        """Fine-tune the model in ``start`` and save it to the folder ``into``, which appears when it is complete."""
        ...

    def warm_up(self, start: Path, into: Path, job: WarmupJob, model: ModelConfig, progress: Progress) -> WarmupReport:
        """Train the model in ``start`` on unlabelled text and save it to ``into``, which appears when it is complete."""
        ...


class LocalEngine:
    """Models and training in this process, through transformers and TRL. Torch is imported on first use."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._opened: tuple[tuple[Path, str], Backend] | None = None

    def backbone(self, model: ModelConfig) -> Path:
        """See ``gramr2.backends.registry.resolve``."""
        from gramr2.backends.registry import resolve

        return resolve(model.name, revision=model.revision)

    def counter(self) -> TokenCounter:
        """The backbone's tokenizer and context length."""
        from gramr2.backends.counting import TokenizerCounter

        model = self._config.model
        return TokenizerCounter(self.backbone(model), model.chat_template_options, model.trust_remote_code)

    def open(self, folder: Path, model: ModelConfig) -> Backend:
        """Load a model, unless it is already loaded."""
        if self._opened is None or self._opened[0] != (folder, model.backend):
            self.close()
            self._opened = ((folder, model.backend), self._load(folder, model))
        return self._opened[1]

    def close(self) -> None:
        """Free the memory of the loaded model, whoever else still holds its backend."""
        if self._opened is not None:
            from gramr2.backends.local import release

            release(self._opened[1])
            self._opened = None

    def finish(self) -> None:
        """Free everything: the run is over."""
        self.close()

    def _load(self, folder: Path, model: ModelConfig) -> Backend:
        return _opening(folder, model)()

    def train(
        self, start: Path, into: Path, job: TrainingJob, model: ModelConfig, progress: Progress
    ) -> TrainingReport:
        """Free the loaded model, then train on all items except those held out for early stopping, in this process or in those
        of ``training.accelerate``."""
        from gramr2.randomness import derive_seed
        from gramr2.training.job import Job

        self.close()
        seed = self._config.seed
        own = derive_seed(seed, "train", job.stage)
        training = Job(start, into, job.items, job.template, job.training, model, draw=seed, seed=own)

        def step(done: int, total: int, loss: float | None) -> None:
            progress(done, total)

        if job.training.accelerate is None:
            return training.run(step)
        from gramr2.training.launch import launch

        return launch(training, Path(job.training.accelerate), step)

    def warm_up(self, start: Path, into: Path, job: WarmupJob, model: ModelConfig, progress: Progress) -> WarmupReport:
        """Free the loaded model, then train on text."""
        from gramr2.randomness import derive_seed
        from gramr2.training.warmup import warm_up

        self.close()
        seed = derive_seed(job.seed, "train", "warm-up")
        return warm_up(start, into, job, model, seed=seed, on_step=lambda done, total, loss: progress(done, total))


class RayEngine(LocalEngine):
    """Models in workers of a Ray cluster, and training in this process; workers are ended before anything is trained."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self._workers: SpreadBackend | None = None

    def counter(self) -> TokenCounter:
        """As in this process. The cluster is joined already: if it cannot be, that is better known before anything is trained."""
        from gramr2.backends.ray_workers import join

        join(self._config.engine)
        return super().counter()

    def open(self, folder: Path, model: ModelConfig) -> Backend:
        """A model in workers, unless it is there already."""
        if self._workers is None:
            self.close()
        return super().open(folder, model)

    def open_here(self, folder: Path, model: ModelConfig) -> Backend:
        """A model in this process, for those who need more of it than answers; workers are ended first, because it may need their
        GPU."""
        if self._opened is None or self._opened[0] != (folder, model.backend) or self._workers is not None:
            self.close()
            self._opened = ((folder, model.backend), super()._load(folder, model))
        return self._opened[1]

    def close(self) -> None:
        """End the workers, or free the model in this process."""
        super().close()
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def finish(self) -> None:
        """Also stop Ray, if it was started here."""
        self.close()
        from gramr2.backends.ray_workers import leave

        leave()

    def _load(self, folder: Path, model: ModelConfig) -> Backend:
        from gramr2.backends.counting import TokenizerCounter
        from gramr2.backends.ray_workers import on_ray

        counter = TokenizerCounter(folder, model.chat_template_options, model.trust_remote_code)
        opening, engine = _opening(folder, model), self._config.engine
        self._workers = on_ray(opening, counter.count_tokens, engine, model.device)
        return self._workers


def opener_here(engine: Engine) -> Callable[[Path, ModelConfig], Backend]:
    """How an engine opens a model in this process; other engines than ours have one way of opening."""
    return engine.open_here if isinstance(engine, RayEngine) else engine.open


def engine_of(config: RunConfig) -> LocalEngine:
    """The engine that a config asks for."""
    return RayEngine(config) if config.engine.kind == "ray" else LocalEngine(config)


def _opening(folder: Path, model: ModelConfig) -> Callable[[], Backend]:
    """Opens a model, here or in another process."""
    from gramr2.backends.local import open_local

    return partial(
        open_local,
        model.backend,
        folder,
        dtype=model.dtype,
        device=model.device,
        trust_remote_code=model.trust_remote_code,
        chat_template_options=model.chat_template_options,
    )
