"""What the local engine hands to the training: examples of the forms that the judge is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import labeled
from gramr2.backends import local
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


class Held:
    """A backend that holds memory, and says when it is given back."""

    def __init__(self, name: str, closed: list[str]) -> None:
        self.name, self.closed = name, closed

    def close(self) -> None:
        self.closed.append(self.name)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[LocalEngine, list[str], list[str], Any]:
    made: list[str] = []
    closed: list[str] = []

    def open_local(backend: str, folder: Path, **options: Any) -> Held:
        made.append(f"{backend} {folder.name}")
        return Held(made[-1], closed)

    monkeypatch.setattr(local, "open_local", open_local)
    monkeypatch.setattr(sft, "fine_tune", lambda *given, **more: made.append("training"))
    model = {"name": "tiny-random", "backend": "vllm"}
    config = parse_config({"model": model, "data": {"seed": "x.jsonl", "gold": "y.jsonl"}, "rounds": 0}, "test")
    return LocalEngine(config), made, closed, config.model


def test_the_memory_of_a_judge_is_free_before_training(opened: Any, tmp_path: Path) -> None:
    engine, made, closed, model = opened
    assert engine.open(tmp_path / "one", model) is engine.open(tmp_path / "one", model)
    assert (made, closed) == (["vllm one"], [])
    job = TrainingJob([labeled("1", Label.A)], JudgeTemplate(), TrainingConfig(), "seed")
    engine.train(tmp_path, tmp_path / "m", job, model, lambda done, total: None)
    assert (made, closed) == (["vllm one", "training"], ["vllm one"])


def test_only_one_model_is_in_memory(opened: Any, tmp_path: Path) -> None:
    engine, made, closed, model = opened
    engine.open(tmp_path / "one", model)
    engine.open(tmp_path / "two", model)
    assert closed == ["vllm one"]
    engine.open(tmp_path / "two", model.model_copy(update={"backend": "transformers"}))
    assert closed == ["vllm one", "vllm two"]
    assert made[-1] == "transformers two"
