"""The context of a run whose data are given in memory, for tests of single stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import parse_config
from gramr2.journal import Journal
from gramr2.judging.judge import Progress
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.data import RunData
from gramr2.selftraining.run.folder import RunFolder
from gramr2.testing import ScriptedEngine


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.notes: list[str] = []

    @contextmanager
    def task(self, title: str) -> Iterator[Progress]:
        self.titles.append(title)
        yield lambda done, total: self.steps.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def context(
    path: Path,
    engine: ScriptedEngine | None = None,
    observer: Notes | None = None,
    *,
    seed: Sequence[LabeledComparison] = (),
    pool: Sequence[Comparison] = (),
    gold: Sequence[LabeledComparison] = (),
    held_out: Sequence[LabeledComparison] = (),
    proving: Sequence[LabeledComparison] = (),
    settings: dict[str, Any] | None = None,
) -> RunContext:
    """A context with these comparisons; ``settings`` are keys of the run file, whose own data are not read."""
    raw = {"model": "none", "data": {"seed": "unread", "pool": "unread", "gold": "unread"}, "filters": []}
    config = parse_config(raw | (settings or {}))
    return RunContext(
        config,
        RunFolder(path),
        engine or ScriptedEngine(),
        observer or Notes(),
        JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles)),
        RunData(tuple(seed), tuple(pool), tuple(gold), {}, tuple(held_out), tuple(proving)),
        Journal(),
    )
