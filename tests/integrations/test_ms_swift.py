"""ms-swift's plugin, loaded by its path as ms-swift does, and called as its trainer calls it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import gramr2.integrations.ms_swift as package
from gramr2.errors import ConfigError, DataError

FILE = Path(package.__path__[0]) / "plugin.py"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin with ``swift.rewards`` of ms-swift 4.6 in its bare form: a base class and a registry."""

    class ORM:
        def __init__(self, args: Any = None, **kwargs: Any) -> None:
            self.args = args

    rewards = ModuleType("swift.rewards")
    rewards.ORM, rewards.orms = ORM, {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swift", ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:longer")
    spec = importlib.util.spec_from_file_location("_swift_external_0", FILE)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return rewards.orms["gramr2"]  # type: ignore[attr-defined]


def row(completion: str, prompt: str = "Why?") -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


def call(made: Any, completions: list[str], **columns: Any) -> Any:
    """As ``compute_rewards_per_func`` does: completions, then every column of the rows."""
    columns = {"messages": [row(each) for each in completions], "prompt_id": ["1"] * len(completions)} | columns
    return made(completions, trainer_state=None, request_id=["r"] * len(completions), **columns)


def test_siblings_are_compared(plugin: Any) -> None:
    made = plugin(args=SimpleNamespace(num_generations=3))
    assert call(made, ["x", "xx", "xxx"]) == [0, 0.5, 1]
    with pytest.raises(DataError, match="not whole groups of 3"):
        call(made, ["x", "xx"])


def test_an_evaluation_has_a_size_of_its_own(plugin: Any) -> None:
    made = plugin(args=SimpleNamespace(num_generations=3, num_generations_eval=2))
    assert call(made, ["x", "xx"]) == [0, 1]
    assert call(made, ["x", "xx", "xxx"]) == [0, 0.5, 1]
    made = plugin(args=SimpleNamespace(num_generations=2, num_generations_eval=1))
    assert call(made, ["x"]) == [None]
    assert call(made, ["x"], reference=["xx"]) == [0]


def test_a_column_of_references_is_what_they_are_compared_with(plugin: Any) -> None:
    assert call(plugin(), ["x", "xxx"], reference=["xx", "xx"]) == [0, 1]


def test_without_a_judge_it_says_what_to_set(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAMR2_JUDGE")
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        plugin(args=None)


def test_no_module_in_its_folder_hides_one_of_pythons() -> None:
    names = {file.stem for file in FILE.parent.glob("*.py")}
    assert not names & {*sys.stdlib_module_names, "swift"}
