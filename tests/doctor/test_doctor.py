"""What ``gramr2 doctor`` finds in installations and machines that are not as they should be."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gramr2.doctor import machine, network, places, software
from gramr2.doctor.examine import examine
from gramr2.doctor.finding import Finding, State


class Installed(Distribution):
    """A distribution with made-up metadata."""

    def __init__(self, *requires: str, python: str = ">=3.11") -> None:
        lines = [f"Requires-Dist: {each}" for each in requires]
        self._text = "\n".join(
            ["Name: gramr2", "Version: 9.9", f"Requires-Python: {python}", "Provides-Extra: serve", *lines]
        )

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


def only(found: Iterator[Finding]) -> Finding:
    (one,) = found
    return one


def test_packages_are_held_to_the_ranges_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = Installed("numpy>=1", "pydantic<1", "no-such-package>=2", 'fastapi>=99; extra == "serve"')
    monkeypatch.setattr(software, "installed", lambda: installed)
    whole, wrong = software.packages()
    assert whole.told == "9.9 (gramr2)"
    assert wrong.state is State.PROBLEM
    assert "not installed: no-such-package" in wrong.told
    assert "pydantic" in wrong.told and "(<1)" in wrong.told
    assert "numpy" not in wrong.told and "fastapi" not in wrong.told
    odd, told = software.extras()
    assert (odd.part, odd.state, odd.remedy) == ("extra serve", State.NOTE, "pip install 'fastapi>=99'")
    assert told.told == "installed: none"


def test_an_old_python_and_a_missing_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed", lambda: Installed(python=">=9"))
    assert only(software.python()).state is State.PROBLEM
    monkeypatch.setattr(software, "installed", lambda: None)
    assert only(software.packages()).state is State.NOTE
    assert list(software.extras()) == []


def cpu_torch(available: bool = False, cuda: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        __version__="2.0",
        version=SimpleNamespace(cuda=cuda, hip=None),
        cuda=SimpleNamespace(is_available=lambda: available),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
        get_num_threads=lambda: 4,
    )


@pytest.mark.parametrize(
    ("cuda", "devices", "state", "words"),
    [
        (None, [], State.OK, "built for CPU; no GPU here"),
        (None, ["nvidia0"], State.PROBLEM, "but this machine has an NVIDIA GPU"),
        ("12.8", ["nvidia0"], State.PROBLEM, "does not see the GPU"),
        ("12.8", ["nvidiactl"], State.OK, "built for CUDA 12.8; no GPU here"),
    ],
)
def test_a_gpu_that_torch_cannot_see(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cuda: str | None, devices: list[str], state: State, words: str
) -> None:
    for each in devices:
        (tmp_path / each).touch()
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    monkeypatch.setattr(machine, "_torch", lambda: cpu_torch(cuda=cuda))
    found = only(machine.torch_build())
    assert (found.state, words in found.told) == (state, True)


def test_threads_are_compared_with_what_the_container_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_torch", cpu_torch)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "CGROUP_CPU", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    quota.write_text("150000 100000")
    assert machine.usable_cores() == 2
    assert "set OMP_NUM_THREADS=2" in only(machine.threads()).remedy
    quota.write_text("max 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert only(machine.threads()).told == "4 threads on 16 usable processors (OMP_NUM_THREADS=4)"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert only(machine.threads()).state is State.OK


@pytest.mark.parametrize(("reached", "state"), [(1.0, State.PROBLEM), (30.0, State.NOTE), (300.0, State.OK)])
def test_a_slow_product_is_named(monkeypatch: pytest.MonkeyPatch, reached: float, state: State) -> None:
    monkeypatch.setattr(machine, "_torch", cpu_torch)
    monkeypatch.setattr("gramr2.backends.hardware.product_speed", lambda: 1e9 * reached)
    assert only(machine.speed()).state is state


@pytest.mark.parametrize(("free", "state"), [(1e9, State.PROBLEM), (4e9, State.NOTE), (64e9, State.OK)])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: float, state: State) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: int(free))
    assert only(machine.memory()).state is state


def test_full_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((5e8, State.PROBLEM), (3e9, State.NOTE), (9e9, State.OK)):
        monkeypatch.setattr(places.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert {each.state for each in places.disks()} == {state}
    monkeypatch.setattr(places.os, "access", lambda *_: False)
    assert {each.state for each in places.disks()} == {State.PROBLEM}


def test_what_a_stopped_command_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert only(places.leftovers()).state is State.OK
    run = tmp_path / "runs" / "mine"
    (run / "judge").mkdir(parents=True)
    (run / "run.yaml").touch()
    (run / ".lock").touch()
    assert only(places.leftovers()).state is State.OK, "it is finished"
    (run / "judge").rmdir()
    (tmp_path / "out.jsonl.journal").touch()
    unfinished, journal = places.leftovers()
    assert unfinished.told == "runs/mine is not finished"
    assert "goes on with it" in unfinished.remedy
    assert journal.told.startswith("out.jsonl.journal has the answers")
    with (run / ".lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert next(places.leftovers()).told == "runs/mine is being worked on by another process"


def test_the_network_is_a_note_and_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{port}/simple")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        index, hub = network.network()
    assert (index.state, hub.state) == (State.NOTE, State.NOTE)
    assert "127.0.0.1 cannot be reached" in index.told
    assert "secret" not in str(index)
    assert "HF_HUB_OFFLINE" in hub.told


def test_a_look_that_fails_is_a_problem_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        raise RuntimeError("no such device")
        yield

    looks: tuple[Callable[[], Iterator[Finding]], ...] = (broken, software.python)
    monkeypatch.setattr("gramr2.doctor.examine.LOOKS", looks)
    first, second = examine(online=False)
    assert (first.state, first.told) == (State.PROBLEM, "cannot be looked at (RuntimeError: no such device)")
    assert second.part == "Python"


def test_without_torch_the_rest_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert only(machine.torch_build()).state is State.NOTE
    assert [*machine.threads(), *machine.precision(), *machine.speed()] == []


def test_the_command(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("memory", State.NOTE, "little", "close something")
    monkeypatch.setattr("gramr2.doctor.examine.LOOKS", (lambda: iter([finding]),))
    code, text, _ = cli("doctor", "--offline")
    assert (code, text) == (0, "note     memory: little\n         → close something\n0 ok, 1 note, 0 problems\n")
    monkeypatch.setattr(
        "gramr2.doctor.examine.LOOKS", (lambda: iter([Finding("disk", State.PROBLEM, "full", "room")]),)
    )
    code, text, _ = cli("doctor", "--offline", "--json")
    assert code == 1
    assert json.loads(text) == {
        "counts": {"ok": 0, "note": 0, "problem": 1},
        "findings": [{"part": "disk", "state": "problem", "told": "full", "remedy": "room"}],
    }
