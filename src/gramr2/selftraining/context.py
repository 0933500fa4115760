"""What every stage of a run works with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gramr2.comparison import Comparison
from gramr2.config import RunConfig
from gramr2.config.judge import SamplingConfig
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.saved import load_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision, ReadingWeights
from gramr2.selftraining.data import RunData
from gramr2.selftraining.engine import Engine
from gramr2.selftraining.folder import RunFolder
from gramr2.selftraining.journal import Judgments
from gramr2.selftraining.observer import Observer


def sampling_of(settings: SamplingConfig) -> Sampling:
    """How a judge samples when a config says so."""
    return Sampling(**(settings.model_dump() | {"orders": Orders(settings.orders)}))


@dataclass(frozen=True, slots=True)
class Journals:
    """The three journals of a run, open for writing."""

    judgments: Journal
    proofs: Journal
    measures: Journal

    @property
    def damaged(self) -> int:
        """Lines that a crash left half written."""
        return self.judgments.damaged + self.proofs.damaged + self.measures.damaged


@contextmanager
def open_journals(folder: RunFolder) -> Iterator[Journals]:
    """Open all journals, and close them however the run ends."""
    with ExitStack() as stack:
        names = ("judgments", "proofs", "measures")
        yield Journals(*(stack.enter_context(Journal(folder.journal(name))) for name in names))


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run: its config, folder, data, models, and whom to tell."""

    config: RunConfig
    folder: RunFolder
    engine: Engine
    observer: Observer
    template: JudgeTemplate
    data: RunData
    journals: Journals
    hidden_states: Path | None = None
    """file of the warmed-up backbone's, for the second view; None keeps them in the run's folder until it ends"""

    def judge(
        self,
        title: str,
        model: Path,
        comparisons: Sequence[Comparison],
        sampling: SamplingConfig,
        template: JudgeTemplate | None = None,
        readings: ReadingWeights | None = None,
    ) -> list[Decision]:
        """Decisions of a model on comparisons, journaled; the verdicts are read as the model's own file says unless
        told otherwise."""
        asked = sampling_of(sampling)
        with self.observer.task(title) as progress:
            shown = replace(template or self.template, readings=readings or load_template(model).readings)
            judge = Judge(self.engine.open(model, self.config.model), shown, asked)
            # Votes of a judge without rationales would be draws from one distribution, which is known.
            judge = judge.direct if shown.mode is JudgeMode.LABEL else judge
            store = Judgments(self.journals.judgments)
            return judge.judge(comparisons, seed=self.config.seed, store=store, progress=progress)
