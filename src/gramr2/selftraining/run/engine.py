"""Interfaces the loop depends on: models and a trainer. Tests supply their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gramr2.backends.base import Backend
from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.budget import TokenCounter
from gramr2.judging.judge import Progress
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.template import JudgeMode, JudgeTemplate

if TYPE_CHECKING:
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
        self._opened: tuple[Path, Backend] | None = None

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
        if self._opened is None or self._opened[0] != folder:
            from gramr2.backends.transformers import TransformersBackend

            self._opened = None
            backend = TransformersBackend(
                folder,
                dtype=model.dtype,
                device=model.device,
                trust_remote_code=model.trust_remote_code,
                chat_template_options=model.chat_template_options,
            )
            self._opened = (folder, backend)
        return self._opened[1]

    def train(
        self, start: Path, into: Path, job: TrainingJob, model: ModelConfig, progress: Progress
    ) -> TrainingReport:
        """Free the loaded model, then train on all items except those held out for early stopping."""
        from gramr2.randomness import derive_seed
        from gramr2.training.examples import held_out_of, training_examples
        from gramr2.training.soup import fine_tune

        self._opened = None
        seed, orders = self._config.seed, job.training.orders
        items, held_out = held_out_of(job.items, job.training.early_stop, seed)
        if not job.training.verdict.soft:
            items, held_out = ([replace(item, target=None) for item in some] for some in (items, held_out))
        judge = job.template if isinstance(job.template, JudgeTemplate) else None
        direct = judge is not None and job.training.verdict.weight > 0
        reasoned = judge is None or judge.mode is JudgeMode.REASON
        examples, held = (
            training_examples(some, orders, seed, direct=direct, reasoned=reasoned) for some in (items, held_out)
        )
        return fine_tune(
            start,
            into,
            examples,
            job.template,
            job.training,
            model,
            seed=derive_seed(seed, "train", job.stage),
            held_out=held,
            on_step=lambda done, total, loss: progress(done, total),
        )

    def warm_up(self, start: Path, into: Path, job: WarmupJob, model: ModelConfig, progress: Progress) -> WarmupReport:
        """Free the loaded model, then train on text."""
        from gramr2.randomness import derive_seed
        from gramr2.training.warmup import warm_up

        self._opened = None
        seed = derive_seed(job.seed, "train", "warm-up")
        return warm_up(start, into, job, model, seed=seed, on_step=lambda done, total, loss: progress(done, total))
