"""Workers that Ray really places: their answers, a worker that is killed, and a command that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import make
from gramr2.backends.base import Backend
from gramr2.backends.counting import TokenizerCounter
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.registry import resolve
from gramr2.backends.spread import SpreadBackend
from gramr2.cli.main import app
from gramr2.comparison import Comparison
from gramr2.config.engine import EngineConfig
from gramr2.errors import ConfigError, MissingDependencyError, ModelError
from gramr2.files import write_jsonl
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.records import comparison_row
from gramr2.judgment import Decision

try:
    import ray
except ImportError:
    ray = None

needs_ray = pytest.mark.skipif(ray is None, reason="Ray is not installed: pip install 'gramr2[ray]'")
ENGINE = EngineConfig(kind="ray", workers=2, threads=1)
PAIRS = [make(f"c{i}", f"{i} and {i} is {2 * i}.", f"{i} and {i} is {i}{i}." * (1 + i % 3)) for i in range(24)]


def small(folder: Path) -> Backend:
    """A model with small chunks."""
    from gramr2.backends.transformers import TransformersBackend

    class Small(TransformersBackend):
        chunk = 8

    return Small(folder)


def nothing() -> Backend:
    """A model that is not there."""
    raise ModelError("no such folder on this machine")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ray on this machine; its address."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 27)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def here() -> tuple[list[Decision], dict[str, Any]]:
    """Decisions and journal of the model in this process."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return judged(small(resolve("lab-tiny")))
    finally:
        torch.set_num_threads(threads)


def judged(backend: Backend, on_answer: Callable[[], None] = lambda: None) -> tuple[list[Decision], dict[str, Any]]:
    with Journal() as journal:
        judge = Judge(
            JournaledBackend(backend, journal), None, Sampling(votes=2, max_new_tokens=6, close_on_budget=True)
        )
        return judge.judge(PAIRS, seed=3, on_decision=lambda index, decision: on_answer()), journal._records


def in_workers(opened: Any, engine: EngineConfig = ENGINE) -> SpreadBackend:
    from gramr2.backends.ray_workers import on_ray

    return on_ray(opened, TokenizerCounter(resolve("lab-tiny")).count_tokens, engine, "cpu")


@pytest.fixture(scope="module")
def workers(cluster: str) -> Iterator[SpreadBackend]:
    backend = in_workers(partial(small, resolve("lab-tiny")))
    yield backend
    backend.close()


def processes(backend: SpreadBackend) -> list[int]:
    return [process for _, process in ray.get([worker.process.remote() for worker in backend._workers])]


@needs_ray
@pytest.mark.slow
def test_two_workers_give_the_bytes_of_one_process(workers: SpreadBackend, here: Any) -> None:
    assert judged(workers) == here
    assert len(workers._workers) == 2
    assert workers.count_tokens((), "two words") > 1


@needs_ray
@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(workers: SpreadBackend, here: Any) -> None:
    before = processes(workers)
    left = before[:1]

    def kill() -> None:
        if left:
            os.kill(left.pop(), signal.SIGKILL)

    assert judged(workers, kill) == here
    assert left == [] and not Path(f"/proc/{before[0]}").exists()
    now = processes(workers)
    assert len(now) == 2 and len({*now} & {*before}) == 1
    workers.close()
    assert not any(Path(f"/proc/{process}").exists() for process in now)


@needs_ray
def test_what_a_worker_cannot_open_is_said_as_here(cluster: str) -> None:
    with pytest.raises(ModelError, match="^no such folder on this machine$"):
        _ = in_workers(nothing, EngineConfig(kind="ray", workers=1)).id


@needs_ray
@pytest.mark.slow
def test_a_killed_command_resumes(cluster: str, tmp_path: Path) -> None:
    data, out = tmp_path / "pairs.jsonl", tmp_path / "decisions.jsonl"
    pairs = [Comparison(f"{each.id}-{i}", each.prompt, each.responses) for i in range(6) for each in PAIRS]
    write_jsonl(data, map(comparison_row, pairs))
    words = ["judge", "--model", "lab-tiny", "--data", str(data), "--quiet", "--verdict", "direct", "--device", "cpu"]
    expected = tmp_path / "expected.jsonl"
    run([*words, "--out", str(expected)])
    command = [sys.executable, "-m", "gramr2.cli.main", *words, "--out", str(out), "--engine", "ray", "--workers", "1"]
    environment = {**os.environ, "RAY_ADDRESS": cluster, "OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "decisions.jsonl.journal"
    try:
        until = time.monotonic() + 200
        while not (journal.exists() and journal.stat().st_size) and driver.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    with Journal(journal) as kept:
        before = len(kept)
    run([*words, "--out", str(out), "--engine", "ray", "--workers", "1"])
    assert 0 < before < 2 * len(pairs) and not journal.exists()
    assert out.read_bytes() == expected.read_bytes()


def run(words: Sequence[str]) -> None:
    app(list(words), standalone_mode=False)


def test_without_ray_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"engine: ray needs the package ray: run  pip install '?ray"):
        in_workers(nothing)


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:ten"])
def test_an_address_where_nobody_listens_is_refused_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gramr2.backends.ray_workers import join

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match=f"no Ray cluster answers at {address}"):
        join(EngineConfig(kind="ray", address=address))


def test_one_gpu_of_several_is_no_place_for_workers() -> None:
    from gramr2.backends.ray_workers import on_ray

    with pytest.raises(ConfigError, match="device cuda:1 names one GPU.*take device: cuda"):
        on_ray(nothing, lambda messages, answer: 0, ENGINE, "cuda:1")


def test_more_gpus_than_this_machine_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gramr2.backends import ray_workers

    monkeypatch.setattr(ray_workers, "join", lambda engine: None)
    monkeypatch.setattr(ray_workers, "_resources", lambda: {"CPU": 8.0, "GPU": 1.0})
    monkeypatch.setattr(ray_workers, "_started_here", True)
    with pytest.raises(ConfigError, match="workers: 2 need a GPU each, and this machine has 1"):
        ray_workers.on_ray(nothing, lambda messages, answer: 0, ENGINE)


@pytest.mark.parametrize(
    ("engine", "device", "cluster", "expected"),
    [
        ({}, "auto", {"CPU": 8, "node:1": 1, "node:__internal_head__": 1}, (0, 8, 1)),
        ({}, "auto", {"CPU": 16, "node:1": 1, "node:2": 1}, (0, 8, 2)),
        ({"workers": 3}, "auto", {"CPU": 8, "node:1": 1}, (0, 2, 3)),
        ({"workers": 3, "threads": 1}, "cpu", {"CPU": 8, "GPU": 4, "node:1": 1}, (0, 1, 3)),
        ({"workers": 9}, "cpu", {"CPU": 4, "node:1": 1}, (0, 1, 9)),
        ({}, "auto", {"CPU": 8, "GPU": 4, "node:1": 1}, (1, 1, 4)),
        ({"workers": 2}, "cuda", {"CPU": 8, "GPU": 4, "node:1": 1}, (1, 1, 2)),
        ({"workers": 2}, "cuda", {"CPU": 8, "node:1": 1}, (1, 1, 2)),
    ],
)
def test_a_worker_has_a_gpu_or_its_share_of_the_processors(
    engine: dict[str, Any], device: str, cluster: dict[str, float], expected: tuple[int, int, int]
) -> None:
    from gramr2.backends.ray_workers import placed

    place, size = placed(EngineConfig(kind="ray", **engine), cluster, device)
    assert (place.gpus, place.cpus, size) == expected
