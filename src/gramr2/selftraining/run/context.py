"""The objects that every stage of a run shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gramr2.backends.base import Backend
from gramr2.backends.journaled import JournaledBackend
from gramr2.comparison import Comparison
from gramr2.config import RunConfig
from gramr2.config.judge import SamplingConfig
from gramr2.config.training import ModelConfig
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.saved import load_template
from gramr2.judging.second_view import SecondView
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision, ReadingWeights
from gramr2.selftraining.run.data import RunData
from gramr2.selftraining.run.engine import Engine
from gramr2.selftraining.run.folder import RunFolder
from gramr2.selftraining.run.observer import Observer


def sampling_of(settings: SamplingConfig) -> Sampling:
    """A judge's sampling settings from a config section."""
    return Sampling(**(settings.model_dump(exclude={"audit"}) | {"orders": Orders(settings.orders)}))


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run: its config, folder, data, models, and the observer."""

    config: RunConfig
    folder: RunFolder
    engine: Engine
    observer: Observer
    template: JudgeTemplate
    data: RunData
    journal: Journal
    hidden_states: Path | None = None
    """cache file of the warmed-up backbone's hidden states, for the second view; None keeps them in the run's folder until it
    ends"""

    def open(self, folder: Path, model: ModelConfig | None = None) -> Backend:
        """A model of the run, its answers journaled.

        Args:
            folder: where the model is.
            model: its settings; the run's own by default.
        """
        return JournaledBackend(self.engine.open(folder, model or self.config.model), self.journal)

    def judge(
        self,
        title: str,
        model: Path,
        comparisons: Sequence[Comparison],
        sampling: SamplingConfig,
        template: JudgeTemplate | None = None,
        readings: ReadingWeights | None = None,
        view: SecondView | None = None,
    ) -> list[Decision]:
        """A model's decisions on comparisons, journaled; without ``readings``, verdicts are read with the weights saved
        with the model."""
        asked = sampling_of(sampling)
        if readings is not None:
            # A reading that is asked for by name is that of every comparison.
            asked = replace(asked, direct_certainty=None)
        if view is not None:
            # Its hidden states are cached now, so that its backbone and the judge are not in memory at the same time.
            view.opinions(comparisons)
        with self.observer.task(title) as progress:
            shown = replace(template or self.template, readings=readings or load_template(model).readings)
            judge = Judge(self.open(model), shown, asked, view)
            # Without rationales, votes would be samples from a distribution that can be read directly.
            judge = judge.direct if shown.mode is JudgeMode.LABEL else judge
            return judge.judge(comparisons, seed=self.config.seed, progress=progress)
