"""Completions that come one by one are rewarded with their siblings, whoever comes first, fails or goes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Message
from gramr2.errors import ModelError
from gramr2.integrations import gathering as module
from gramr2.integrations.gathering import Gathering, Place
from gramr2.integrations.judges import NoSiblingsError
from gramr2.rewards.groups import Group, Rewards

PROMPT = (Message("user", "Why?"),)


def lengths(group: Group) -> Rewards:
    return [float(len(text)) for text in group.completions]


def joining(gathering: Gathering, text: str, size: int = 3, key: object = "k", wait: float | None = None, place: Place | None = None) -> Coroutine[Any, Any, float | None]:  # fmt: skip
    return gathering.join(key, size, PROMPT, text, wait, place)


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


def test_what_does_not_come_is_not_waited_for_and_this_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        gathering = Gathering(lengths)
        assert await asyncio.gather(joining(gathering, "a", wait=0.05), joining(gathering, "bb", wait=60)) == [1.0, 2.0]
        assert not gathering._open
        assert await asyncio.gather(joining(gathering, "a", 2), joining(gathering, "bb", 2)) == [1.0, 2.0]

    with caplog.at_level(logging.WARNING, "gramr2"):
        asyncio.run(run())
    assert [each.message for each in caplog.records] == [
        "2 of a group's 3 completions came within 0.05 s: it is rewarded without the others"
    ]


def test_one_that_is_alone_is_not_rewarded_and_the_judge_not_asked() -> None:
    def never(group: Group) -> Rewards:
        raise AssertionError("nothing to ask")

    async def run() -> None:
        gathering = Gathering(never)
        with pytest.raises(NoSiblingsError, match=r"no other of the group's 3 completions came within 0\.01 s: there"):
            await joining(gathering, "a", wait=0.01)
        with pytest.raises(NoSiblingsError, match="no other of the group's 1 completions came: there"):
            await joining(gathering, "a", 1)
        assert not gathering._open and not gathering._closed

    asyncio.run(run())


def test_a_request_that_comes_again_has_its_place() -> None:
    groups: list[Group] = []

    def reward(group: Group) -> Rewards:
        groups.append(group)
        return lengths(group)

    async def run() -> None:
        gathering = Gathering(reward)
        first = [asyncio.create_task(joining(gathering, "a" * n, place=(n, "r"))) for n in (1, 2)]
        await asyncio.sleep(0)
        again = asyncio.create_task(joining(gathering, "a", place=(1, "r")))
        await asyncio.sleep(0.02)
        assert not again.done(), "the third has not come"
        assert await joining(gathering, "aaa", place=(3, "r")) == 3.0
        assert await asyncio.gather(*first, again) == [1.0, 2.0, 1.0]
        assert await joining(gathering, "aa", place=(2, "r")) == 2.0, "remembered"
        assert [group.completions for group in groups] == [("a", "aa", "aaa")]
        # The next epoch, with the same numbers and here the same texts, is another group.
        found = await asyncio.gather(*(joining(gathering, "a" * n, place=(n, "next")) for n in (1, 2, 3)))
        assert found == [1.0, 2.0, 3.0] and len(groups) == 2

    asyncio.run(run())


def test_a_request_whose_connection_was_dropped_comes_again_while_its_group_is_judged() -> None:
    go, groups = threading.Event(), []

    def reward(group: Group) -> Rewards:
        groups.append(group)
        assert go.wait(10)
        return lengths(group)

    async def run() -> None:
        gathering = Gathering(reward)
        tasks = [asyncio.create_task(joining(gathering, "a" * n, 2, place=(n, "r"))) for n in (1, 2)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        again = asyncio.create_task(joining(gathering, "a", 2, place=(1, "r")))
        await asyncio.sleep(0.02)
        go.set()
        assert await asyncio.gather(again, tasks[1]) == [1.0, 2.0]
        assert len(groups) == 1 and not gathering._open

    asyncio.run(run())


def test_a_rollout_that_is_made_once_more_does_not_take_the_place_of_another() -> None:
    async def run() -> list[float | None]:
        gathering = Gathering(lengths)
        places = [(1, "first"), (1, "second"), (2, "first"), (3, "first")]
        return await asyncio.gather(
            *(joining(gathering, "a" * n, place=each) for n, each in enumerate(places, start=1))
        )

    assert asyncio.run(run()) == [1.0, 2.0, 3.0, 4.0]


def test_an_error_is_that_of_the_request_that_comes_again() -> None:
    def reward(group: Group) -> Rewards:
        raise ModelError("out of paper")

    async def run() -> None:
        gathering = Gathering(reward)
        places: list[Place] = [(1, "r"), (2, "r")]
        for _ in range(2):
            found = [joining(gathering, "a", 2, place=each) for each in places]
            assert [str(each) for each in await asyncio.gather(*found, return_exceptions=True)] == ["out of paper"] * 2

    asyncio.run(run())


def test_rewards_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def group(gathering: Gathering, key: object) -> None:
        assert await asyncio.gather(*(joining(gathering, "a" * n, 2, key, place=(n, "r")) for n in (1, 2))) == [
            1.0,
            2.0,
        ]

    async def run() -> None:
        gathering = Gathering(lengths)
        monkeypatch.setattr(module, "REMEMBERED", 4)
        for key in range(5):
            await group(gathering, key)
        assert {key for key, _ in gathering._closed} == {3, 4}
        assert await joining(gathering, "a", 2, 4, place=(1, "r")) == 1.0
        monkeypatch.setattr(module, "FORGOTTEN", -1.0)
        await group(gathering, 5)
        await group(gathering, 5)
        with pytest.raises(NoSiblingsError):
            await joining(gathering, "a", 2, 5, wait=0.01, place=(1, "r"))

    asyncio.run(run())


def test_one_that_will_not_come_is_not_waited_for() -> None:
    async def run() -> None:
        gathering = Gathering(lengths)
        waiting = [asyncio.create_task(joining(gathering, text)) for text in ("a", "bb")]
        await asyncio.sleep(0)
        gathering.fail("k", ModelError("out of paper"))
        gathering.fail("other", ModelError("nobody waits"))
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(each) for each in found] == ["out of paper"] * 2
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
