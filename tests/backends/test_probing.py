"""A machine is measured once, and the answer is kept, if it can be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gramr2.backends import probing
from gramr2.backends.probing import prefers_bf16


class Machine:
    """Measures what it is told to, and counts."""

    def __init__(self) -> None:
        self.speedup = 3.456
        self.measured = 0

    def __call__(self) -> float:
        self.measured += 1
        return self.speedup


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(probing, "bf16_speedup", made)
    return made


def test_the_second_call_does_not_measure(machine: Machine, tmp_path: Path) -> None:
    assert prefers_bf16() is True
    machine.speedup = 0.5
    assert prefers_bf16() is True
    assert machine.measured == 1
    assert [*json.loads((tmp_path / "cache/bf16.json").read_text()).values()] == [3.46]
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["bf16.json"]


@pytest.mark.parametrize(("speedup", "preferred"), [(1.4, False), (1.6, True)])
def test_it_must_be_clearly_faster(machine: Machine, speedup: float, preferred: bool) -> None:
    machine.speedup = speedup
    assert prefers_bf16() is preferred
    assert prefers_bf16() is preferred
    assert machine.measured == 1


def test_another_number_of_threads_is_another_machine(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefers_bf16() is True
    monkeypatch.setattr(torch, "get_num_threads", lambda: 96)
    machine.speedup = 1.0
    assert prefers_bf16() is False
    assert machine.measured == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "\xff"])
def test_a_file_that_says_nothing_is_written_anew(machine: Machine, tmp_path: Path, content: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/bf16.json").write_text(content, encoding="latin-1")
    assert prefers_bf16() is True
    assert prefers_bf16() is True
    assert machine.measured == 1


def test_a_cache_that_cannot_be_written_does_not_fail(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert prefers_bf16() is True
    assert prefers_bf16() is True
    assert machine.measured == 2
