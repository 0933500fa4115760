"""An engine without a model: a function judges, and training records what it was given."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import Script, ScriptedBackend
from gramr2.comparison import Label, LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.judging.judge import Progress
from gramr2.judging.proving import PROOF_OPENING
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import FinishReason
from gramr2.selftraining.run.engine import TrainingJob
from gramr2.training.texts import WarmupJob, WarmupReport


def longer(request: GenerationRequest, seed: int) -> Completion:
    """Prefers the longer response, with more certainty the larger the difference."""
    if request.prefill == PROOF_OPENING:
        return proof(request, seed)
    _, a, b = extract(request.messages)
    label = Label.A if len(a) >= len(b) else Label.B
    sure = 0.5 + 0.5 * min(1.0, abs(len(a) - len(b)) / 100)
    values = {"A": sure, "B": 1 - sure} if label is Label.A else {"A": 1 - sure, "B": sure}
    text = verdict_text(
        label, "Feedback: Response A and Response B differ in their length, so the longer one is taken."
    )
    return Completion(text, FinishReason.STOP, {k: math.log(v or 1e-9) for k, v in (values | {"tie": 0.0}).items()})


def proof(request: GenerationRequest, seed: int) -> Completion:
    """Proves what the prompt says, at a length that depends on the seed; one in five is truncated."""
    verdict = request.messages[0].content.rpartition("The verdict: ")[2]
    body = "Response A and Response B differ in length. " + "It says more about the prompt. " * (seed % 4)
    reason = FinishReason.LENGTH if seed % 5 == 0 else FinishReason.STOP
    text = f"{PROOF_OPENING}{body}\nConclusion: {verdict}"
    return Completion(text, reason, completion_tokens=len(text.split()))


class ScriptedEngine:
    """An ``Engine`` for whole runs in milliseconds: it trains by recording what it was given.

    Args:
        script: how models answer.
        scripts: how single models answer instead, by the name of their folder: a round's number, or ``proving``.

    ``trained`` has (start, comparisons) of every training run, ``jobs`` and ``warmed`` the jobs that were requested, ``asked``
    is the number of answers, and ``report`` the report that a training run writes.
    """

    def __init__(self, script: Script = longer, scripts: dict[str, Script] | None = None) -> None:
        self.script = script
        self.scripts = scripts or {}
        self.trained: list[tuple[Path, list[LabeledComparison]]] = []
        self.jobs: list[TrainingJob] = []
        self.warmed: list[tuple[Path, WarmupJob]] = []
        self.asked = 0
        self.report: dict[str, Any] | None = None

    def backbone(self, model: ModelConfig) -> Path:
        """A name instead of a folder."""
        return Path(f"backbone/{model.name}")

    def counter(self) -> ScriptedBackend:
        """A counter whose tokens are words."""
        return ScriptedBackend(self.script)

    def open(self, folder: Path, model: ModelConfig) -> ScriptedBackend:
        """The model of that folder."""
        engine, name = self, folder.name if folder.name != "model" else folder.parent.name

        def counted(request: GenerationRequest, seed: int) -> Completion | str:
            engine.asked += 1
            return engine.scripts.get(name, engine.script)(request, seed)

        return ScriptedBackend(counted, f"scripted:{name}")

    def train(self, start: Path, into: Path, job: TrainingJob, model: ModelConfig, progress: Progress) -> None:
        """Write the ids of the comparisons instead of weights."""
        self.trained.append((start, list(job.items)))
        self.jobs.append(job)
        scratch = into.with_name("model.tmp")
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "config.json").write_text(json.dumps([start.name, [item.comparison.id for item in job.items]]))
        if self.report is not None:
            (scratch / "gramr2_training.json").write_text(json.dumps(self.report))
        progress(1, 1)
        scratch.rename(into)

    def warm_up(self, start: Path, into: Path, job: WarmupJob, model: ModelConfig, progress: Progress) -> WarmupReport:
        """Write the texts instead of weights."""
        self.warmed.append((start, job))
        scratch = into.with_name("model.tmp")
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "config.json").write_text(json.dumps([start.name, [text.answer for text in job.texts]]))
        progress(1, 1)
        scratch.rename(into)
        held_out = len(job.held_out)
        return WarmupReport(len(job.texts), 0, 10 * len(job.texts), 1, 1.0, held_out, 2.0, 1.5)
