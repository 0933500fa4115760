"""The judge as slime's reward model: groups as slime passes them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from gramr2.errors import ConfigError, DataError, NoVerdictError
from gramr2.integrations.slime import reward
from gramr2.judging.scripted import SCRIPTS


@dataclass
class Sample:
    """The fields of slime's ``Sample`` that are read."""

    response: str
    prompt: Any = "Why?"
    label: str | None = None
    group_index: int | None = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def sometimes(request: Any, seed: int) -> Any:
        return "No idea." if "odd" in request.messages[-1].content else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "slime", sometimes)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:slime")


def rewarded(samples: Any) -> Any:
    return asyncio.run(reward(None, samples))


def test_a_group_is_rewarded_together() -> None:
    assert rewarded([Sample("x"), Sample("xx"), Sample("xxx")]) == [0, 0.5, 1]
    turns = [{"role": "user", "content": "Why?"}]
    assert rewarded([Sample("x", turns), Sample("xx", turns)]) == [0, 1]


def test_several_groups_at_once() -> None:
    samples = [Sample("x", group_index=1), Sample("xx", group_index=1), Sample("xxx", group_index=2)]
    samples[2].label = "xx"
    assert rewarded(samples) == [0, 1, 1]


def test_a_sample_alone_is_compared_with_its_label() -> None:
    assert rewarded(Sample("xx", label="x")) == 1
    assert rewarded([Sample("x", label="xx")]) == [0]
    with pytest.raises(DataError, match="no label to compare it with"):
        rewarded(Sample("x"))


def test_the_prompt_is_that_of_the_metadata_where_there_is_one() -> None:
    samples = [Sample(text, "<|im_start|>odd", metadata={"prompt": "Why?"}) for text in ("x", "xx")]
    assert rewarded(samples) == [0, 1]


def test_what_is_not_decided_is_no_number_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [Sample("x", "odd"), Sample("xx", "odd")]
    with pytest.raises(NoVerdictError, match="set GRAMR2_UNDECIDED"):
        rewarded(samples)
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.5")
    assert rewarded(samples) == [0.5, 0.5]


def test_without_a_judge_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAMR2_JUDGE")
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        rewarded(Sample("x", label="y"))
