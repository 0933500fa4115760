"""What the loop needs of the outside: a judge from a folder, a trainer, a token counter. Tests bring their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gramr2.backends.base import Backend
from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig
from gramr2.judging.budget import TokenCounter
from gramr2.judging.judge import Progress
from gramr2.judging.template import JudgeTemplate

if TYPE_CHECKING:
    from gramr2.training.sft import TrainingReport


class Engine(Protocol):
    """Opens models and trains them."""

    def backbone(self) -> Path:
        """The folder of the pretrained model."""
        ...

    def counter(self) -> TokenCounter:
        """Counts tokens without loading weights."""
        ...

    def open(self, model: Path) -> Backend:
        """A backend for a model folder. The previous one is released."""
        ...

    def train(
        self,
        start: Path,
        into: Path,
        items: Sequence[LabeledComparison],
        template: JudgeTemplate,
        stage: int,
        progress: Progress,
    ) -> TrainingReport:
        """Fine-tune the model in ``start`` on labelled comparisons into the folder ``into``."""
        ...


class LocalEngine:
    """Models and training in this process, through transformers and TRL. Torch is imported on first use."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._opened: tuple[Path, Backend] | None = None

    def backbone(self) -> Path:
        """See ``gramr2.backends.registry.resolve``."""
        from gramr2.backends.registry import resolve

        return resolve(self._config.model.name, revision=self._config.model.revision)

    def counter(self) -> TokenCounter:
        """The backbone's tokenizer and context length."""
        from gramr2.backends.counting import TokenizerCounter

        model = self._config.model
        return TokenizerCounter(self.backbone(), model.chat_template_options, model.trust_remote_code)

    def open(self, model: Path) -> Backend:
        """Load a model, unless it is the one that is loaded."""
        if self._opened is None or self._opened[0] != model:
            from gramr2.backends.transformers import TransformersBackend

            self._opened = None
            settings = self._config.model
            backend = TransformersBackend(
                model,
                dtype=settings.dtype,
                device=settings.device,
                trust_remote_code=settings.trust_remote_code,
                chat_template_options=settings.chat_template_options,
            )
            self._opened = (model, backend)
        return self._opened[1]

    def train(
        self,
        start: Path,
        into: Path,
        items: Sequence[LabeledComparison],
        template: JudgeTemplate,
        stage: int,
        progress: Progress,
    ) -> TrainingReport:
        """Free the loaded model, then train."""
        from gramr2.data.split import derive_seed
        from gramr2.training.sft import examples_from, train_judge

        self._opened = None
        config = self._config
        return train_judge(
            start,
            into,
            examples_from(items, config.training.orders, config.seed),
            template,
            config.training,
            config.model,
            seed=derive_seed(config.seed, "train", stage),
            on_step=lambda done, total, loss: progress(done, total),
        )
