"""Completions that come one by one are rewarded with their siblings, whoever comes first, fails or goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Message
from gramr2.errors import ModelError
from gramr2.integrations.gathering import Gathering
from gramr2.rewards.groups import Group, Rewards

PROMPT = (Message("user", "Why?"),)


def lengths(group: Group) -> Rewards:
    return [float(len(text)) for text in group.completions]


def joining(gathering: Gathering, text: str, size: int = 3, key: object = "k", wait: float | None = None) -> Coroutine[Any, Any, float | None]:  # fmt: skip
    return gathering.join(key, size, PROMPT, text, wait)


@given(st.permutations(["a", "bb", "ccc", "bb"]))
def test_each_gets_its_own_reward_whoever_came_first(texts: list[str]) -> None:
    groups: list[Group] = []

    def reward(group: Group) -> Rewards:
        groups.append(group)
        return lengths(group)

    async def run() -> list[float | None]:
        gathering = Gathering(reward)
        found = await asyncio.gather(*(joining(gathering, text, 4) for text in texts))
        assert not gathering._open
        return found

    assert asyncio.run(run()) == [float(len(text)) for text in texts]
    assert [group.completions for group in groups] == [("a", "bb", "bb", "ccc")], "asked once, and always the same"


def test_a_key_is_for_one_group_after_another() -> None:
    async def run() -> None:
        gathering = Gathering(lengths)
        for _ in range(3):
            assert await asyncio.gather(joining(gathering, "a", 2), joining(gathering, "bb", 2)) == [1.0, 2.0]
        found = await asyncio.gather(*(joining(gathering, text, 2, key) for key in "xy" for text in ("a", "bb")))
        assert found == [1.0, 2.0, 1.0, 2.0]

    asyncio.run(run())


def test_what_does_not_come_is_not_waited_for() -> None:
    async def run() -> None:
        gathering = Gathering(lengths)
        assert await asyncio.gather(joining(gathering, "a", wait=0.05), joining(gathering, "bb", wait=60)) == [1.0, 2.0]
        assert await joining(gathering, "a", wait=0.01) is None, "alone"
        assert await joining(gathering, "a", 1) is None
        assert not gathering._open

    asyncio.run(run())


def test_an_error_is_everybodys_and_the_next_group_is_a_new_one() -> None:
    errors = [ModelError("out of paper")]

    def reward(group: Group) -> Rewards:
        if errors:
            raise errors.pop()
        return lengths(group)

    async def run() -> None:
        gathering = Gathering(reward)
        found = await asyncio.gather(*(joining(gathering, text, 2) for text in ("a", "bb")), return_exceptions=True)
        assert [str(each) for each in found] == ["out of paper"] * 2
        assert await asyncio.gather(joining(gathering, "a", 2), joining(gathering, "bb", 2)) == [1.0, 2.0]

    asyncio.run(run())


def test_one_that_goes_does_not_take_the_others_along() -> None:
    go = threading.Event()

    def reward(group: Group) -> Rewards:
        assert go.wait(10)
        return lengths(group)

    async def run() -> None:
        gathering = Gathering(reward)
        tasks = [asyncio.create_task(joining(gathering, text, 2)) for text in ("a", "bb")]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        await asyncio.sleep(0.02)
        go.set()
        assert await tasks[1] == 2.0
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    asyncio.run(run())
