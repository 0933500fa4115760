"""A run whose judge works in workers: its files are those of a run in one process, and workers are gone when training begins.

The workers are objects of this process; ``tests/backends/test_ray_workers.py`` has real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gramr2.backends import ray_workers
from gramr2.backends.base import Backend
from gramr2.backends.registry import resolve
from gramr2.backends.spread import Host, SpreadBackend
from gramr2.backends.transformers import TransformersBackend
from gramr2.config import RunConfig, parse_config
from gramr2.config.engine import EngineConfig
from gramr2.errors import ConfigError, RunError
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.engine import LocalEngine, RayEngine, engine_of, opener_here
from gramr2.selftraining.run.folder import RunFolder
from gramr2.training import job

CONFIG: dict[str, Any] = {
    "seed": 3,
    "model": "tiny-random",
    "data": {
        "seed": {"path": "starter:labeled", "limit": 6},
        "pool": {"path": "starter:unlabeled", "limit": 6},
        "gold": {"path": "starter:gold", "limit": 4},
    },
    "judge": {
        "pool": {"votes": 2, "max_new_tokens": 6, "close_on_budget": True},
        "gold": {"max_new_tokens": 6, "close_on_budget": True},
    },
    "training": {"epochs": 1, "min_steps": 0, "learning_rate": 1e-3, "batch_size": 8, "orders": "hashed"},
    "rounds": 1,
    "filters": [{"kind": "confidence", "threshold": 0.0, "calibrate": False}, {"kind": "readback"}],
    "baselines": ["frozen-features"],
}
RAY = {"kind": "ray", "workers": 2}


class Here:
    """A crew of this process; ``log`` has what happened to its workers."""

    def __init__(self, opened: Callable[[], Backend], log: list[str]) -> None:
        self.opened, self.log, self.done = opened, log, dict[int, Any]()

    def start(self) -> Host:
        return Host(self.opened, lambda: "v1", "here")

    def send(self, worker: Host, method: str, *given: Any) -> int:
        self.log.append(method)
        self.done[len(self.done)] = getattr(worker, method)(*given)
        return len(self.done) - 1

    def finished(self, tickets: Sequence[int]) -> Sequence[int]:
        return tickets

    def result(self, ticket: int) -> Any:
        return self.done[ticket]

    def stop(self, workers: Sequence[Host]) -> None:
        self.log += ["end"] * len(workers)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Workers of this process in the place of Ray's, and what happens in a run."""
    told: list[str] = []
    original = job.fine_tune

    def on_ray(opened: Callable[[], Backend], count: Any, engine: EngineConfig, device: str) -> SpreadBackend:
        assert isinstance(engine.workers, int)
        return SpreadBackend(Here(opened, told), engine.workers, count)

    def fine_tune(*given: Any, **more: Any) -> Any:
        told.append("train")
        return original(*given, **more)

    monkeypatch.setattr(ray_workers, "on_ray", on_ray)
    monkeypatch.setattr(ray_workers, "join", lambda engine: told.append("join"))
    monkeypatch.setattr(ray_workers, "leave", lambda: told.append("leave"))
    monkeypatch.setattr(job, "fine_tune", fine_tune)
    return told


def config(**changes: Any) -> RunConfig:
    return parse_config(CONFIG | changes)


def kept(folder: Path) -> dict[str, bytes]:
    """All that a run wrote and that does not hold times, with the journal's lines in order."""
    names = ("*.jsonl", "*.json", "rounds/*/*.json*", "rounds/*/model/*.safetensors", "baselines.json", "run.yaml")
    files = {file for name in names for file in folder.glob(name)}
    assert len(files) > 10
    found = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    lines = (folder / "journal/answers.jsonl").read_bytes().splitlines()
    return found | {"journal": b"\n".join(sorted(lines))}


@pytest.mark.slow
def test_a_run_has_the_files_of_a_run_in_one_process(tmp_path: Path, log: list[str]) -> None:
    SelfTraining(config(), tmp_path / "here").run()
    assert set(log) == {"train"}
    log.clear()
    SelfTraining(config(engine=RAY), tmp_path / "there").run()
    assert kept(tmp_path / "there") == kept(tmp_path / "here")
    assert log[0] == "join" and log[-1] == "leave" and log.count("train") == 2
    # Whenever training begins, as many workers have ended as have loaded the model.
    for place in (i for i, what in enumerate(log) if what in ("train", "leave")):
        assert log[:place].count("end") == log[:place].count("facts")
    assert "generate" in log


def test_workers_end_when_another_model_is_opened_here_or_there(log: list[str]) -> None:
    settings = config(engine=RAY)
    engine, folder = RayEngine(settings), resolve("lab-tiny")
    first = engine.open(folder, settings.model)
    assert engine.open(folder, settings.model) is first
    assert (first.count_tokens((), "two words"), log) == (
        LocalEngine(settings).open(folder, settings.model).count_tokens((), "two words"),
        ["facts"] * 2,
    )
    here = opener_here(engine)(folder, settings.model)
    assert isinstance(here, TransformersBackend) and log[-2:] == ["end", "end"]
    assert opener_here(engine)(folder, settings.model) is here
    again = engine.open(folder, settings.model)
    assert isinstance(again, SpreadBackend) and again is not first
    engine.open(resolve("tiny-random"), settings.model)
    assert log.count("facts") == 6 and log.count("end") == 4
    engine.finish()
    assert log[-3:] == ["end", "end", "leave"]


def test_the_engine_is_the_one_in_the_run_file() -> None:
    assert type(engine_of(config())) is LocalEngine
    assert type(engine_of(config(engine="ray"))) is RayEngine
    assert opener_here(local := LocalEngine(config())) == local.open


def test_a_run_goes_on_with_another_engine(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.adopt(config())
    folder.adopt(config(engine={"kind": "ray", "workers": 3}))
    assert "engine" not in (tmp_path / "run.yaml").read_text()
    with pytest.raises(RunError, match="seed: 3 became 4"):
        folder.adopt(config(seed=4))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": {"workers": 2}}, "kind: local has no workers: set kind: ray, or remove workers"),
        ({"engine": {"kind": "ray", "workers": 0}}, "engine.workers"),
        ({"engine": "dask"}, "engine.kind: input should be 'local' or 'ray'"),
        ({"engine": "ray", "model": {"name": "m", "device": "cuda:1"}}, "set model.device: cuda"),
        ({"model": {"name": "m", "device": "cuda:1"}}, "set model.device: cuda, and CUDA_VISIBLE_DEVICES=1"),
    ],
)
def test_engines_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**changes)
