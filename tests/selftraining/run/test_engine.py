"""What the local engine hands to the training: examples of the forms that the judge is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import labeled
from gramr2.comparison import Label
from gramr2.config import parse_config
from gramr2.config.training import TrainingConfig
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.engine import LocalEngine, TrainingJob
from gramr2.training import sft


@pytest.mark.parametrize(("mode", "forms"), [(JudgeMode.REASON, 4), (JudgeMode.LABEL, 2)])
def test_rationales_are_taught_to_judges_that_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: JudgeMode, forms: int
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(sft, "fine_tune", lambda start, into, examples, *rest, **more: given.append(examples))
    config = parse_config({"model": "tiny-random", "data": {"seed": "x.jsonl", "gold": "y.jsonl"}, "rounds": 0}, "test")
    items = [labeled(str(i), Label.A, "Response A wins.") for i in range(3)]
    job = TrainingJob(items, JudgeTemplate(mode), TrainingConfig(), "seed")
    LocalEngine(config).train(tmp_path, tmp_path / "m", job, config.model, lambda done, total: None)
    assert [len(example) for example in given[0]] == [forms] * 3
