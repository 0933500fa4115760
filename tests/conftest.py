"""Shared pieces: comparisons, scripted judgments, and a random two-layer model that is built once."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes with two threads each on two cores are slower than one.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Order
from gramr2.evaluation.log import Summary
from gramr2.judgment import FinishReason, Judgment, LabelProbabilities, Outcome
from gramr2.serving.logs import LOGGERS

# The first draw of a fresh clone builds hypothesis' tables of Unicode, which takes a second and is not our slowness.
settings.register_profile(
    "gramr2", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gramr2")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


def make(name: str = "c1", a: str = "short", b: str = "a longer one", **extra: str) -> Comparison:
    """A comparison with a one-turn prompt."""
    return Comparison(name, (Message("user", f"Prompt of {name}"),), (a, b), **extra)


def summary_of(name: str, result: dict[str, Any], **extra: Any) -> Summary:
    """The summary of an evaluation by a judge of that name; only its result matters."""
    told = dict.fromkeys(("key", "model", "judge"), name) | {"benchmark": "bench", "digest": "d"}
    nothing = {"options": {}, "seed": 0, "versions": "", "started": "", "seconds": 0}
    return Summary(**told, **nothing, prompt_tokens=0, completion_tokens=0, result=result, **extra)


def labeled(name: str, label: Label, rationale: str | None = None, **extra: str) -> LabeledComparison:
    """A labelled comparison."""
    return LabeledComparison(make(name, **extra), label, rationale)


def vote(
    outcome: Outcome,
    order: Order = Order.AB,
    sample: int = 0,
    probabilities: tuple[float, float, float] | None = None,
    rationale: str | None = "Feedback: Response A and Response B.",
) -> Judgment:
    """A judgment; probabilities are for A, B and tie of the stored order."""
    belief = LabelProbabilities(*probabilities) if probabilities else None
    return Judgment(order, sample, sample, outcome, FinishReason.STOP, rationale, belief)


def pytest_addoption(parser: pytest.Parser) -> None:
    """A flag of the tests of the page."""
    parser.addoption("--trace-to", type=Path, help="file for Playwright's trace of a labelling session (-m web)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, where processes share the files: else one of them works through the last while others wait."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


_frozen = 0


@pytest.fixture(autouse=True)
def _young_garbage() -> None:
    """Keep the garbage collector off the libraries, which stay: each look through torch's million objects takes 0.3 seconds, and
    training collects several times a run."""
    global _frozen
    if len(sys.modules) > _frozen + 100:
        gc.collect()
        gc.freeze()
        _frozen = len(sys.modules)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the random model."""
    from gramr2.backends.random_model import build

    folder = tmp_path_factory.mktemp("models") / "tiny"
    build(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model cache that is not the user's."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("GRAMR2_CACHE", str(folder))
    return folder


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: its words in, exit code, output and errors out. Evaluations go to a folder of the test."""
    monkeypatch.setattr("gramr2.evaluation.evaluating.FOLDER", tmp_path / "evaluations")

    def call(*words: object) -> tuple[int, str, str]:
        from gramr2.cli.main import run

        monkeypatch.setattr(sys, "argv", ["gramr2", *map(str, words)])
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes rows as a file of JSON lines; returns its path."""

    def write(*rows: object, name: str = "in.jsonl") -> str:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(file)

    return write


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """A command sends the log to the standard error of its moment, a server bounds it, and inspect_ai sets everybody's level;
    the next test has its own."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for name in LOGGERS:
        logging.getLogger(name).filters.clear()
    logger = logging.getLogger("gramr2")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)
