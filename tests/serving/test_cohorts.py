"""Groups whose members come one by one: they wait for each other, leave, come late, and never wait for ever."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from test_app import served, until_ready

from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Message
from gramr2.errors import ConfigError, DataError, ModelError
from gramr2.judging.judge import Judge, Sampling
from gramr2.rewards.groups import Group, Rewards
from gramr2.serving import cohorts as module
from gramr2.serving.app import create_app
from gramr2.serving.cohorts import Cohorts, Share, Terms
from gramr2.serving.errors import BusyError, ClosedGroupError, GoneError, LateError
from gramr2.serving.middleware import ServerLimits
from gramr2.serving.model import Model
from gramr2.serving.problems import REFUSALS
from gramr2.serving.visit import Visit
from gramr2.wire import ProblemBody

PATH = "/v1/cohort"
PROMPT = (Message("user", "p"),)
MEMBER = {"group": "g", "size": 3, "prompt": "p", "response": "x", "wait": 20}


class Judging:
    """Rewards a completion with its length, and remembers the groups."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[Group] = []
        self.visits: list[Visit] = []
        self.error = error
        self.go: asyncio.Event | None = None

    async def __call__(self, group: Group, terms: Terms, deadline: float, visit: Visit) -> Rewards:
        self.groups.append(group)
        self.visits.append(visit)
        if self.go is not None:
            await self.go.wait()
        if self.error is not None:
            raise self.error
        return [float(len(text)) for text in group.completions]


def joining(cohorts: Cohorts, text: str, *, name: str = "g", size: int = 3, wait: float = 20.0, deadline: float = 30.0, visit: Visit | None = None, **terms: Any) -> Coroutine[Any, Any, Share]:  # fmt: skip
    asked = Terms(size, terms.pop("prompt", PROMPT), **terms)
    return cohorts.join(name, asked, text, wait, time.monotonic() + deadline, visit or Visit())


async def settled(*tasks: Any) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


@given(st.permutations(["a", "bb", "ccc", "dddd"]))
def test_each_gets_its_own_reward_whoever_came_first(texts: list[str]) -> None:
    judging = Judging()

    async def run() -> list[Share]:
        cohorts = Cohorts(judging, 8)
        found = await asyncio.gather(*(joining(cohorts, text, size=4) for text in texts))
        assert cohorts.waiting == 0 and not cohorts._open
        return found

    assert [each.reward for each in asyncio.run(run())] == [float(len(text)) for text in texts]
    assert judging.groups[-1].completions == ("a", "bb", "ccc", "dddd"), "the judge is always asked the same"


def test_a_group_that_is_not_complete_is_rewarded_when_its_time_is_up() -> None:
    async def run() -> None:
        cohorts = Cohorts(Judging(), 8)
        started = time.monotonic()
        found = await settled(joining(cohorts, "a", wait=5.0), joining(cohorts, "bb", wait=0.1))
        assert found == [Share(1.0, None, 2), Share(2.0, None, 2)]
        assert time.monotonic() - started < 3, "the one that waits least decides"
        alone = await joining(cohorts, "a", name="another", wait=0.05)
        assert (alone.reward, alone.arrived) == (None, 1)
        assert alone.reason == "no other of the group's 3 completions came in time"

    asyncio.run(run())


def test_one_that_comes_late_is_told() -> None:
    async def run() -> None:
        cohorts = Cohorts(Judging(), 8)
        await settled(joining(cohorts, "a", size=2), joining(cohorts, "b", size=2))
        for size in (2, 3):
            with pytest.raises(ClosedGroupError, match="the group 'g' is closed: it was rewarded when 2 of"):
                await joining(cohorts, "c", size=size)

    asyncio.run(run())


def test_names_are_forgotten_in_time_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        cohorts = Cohorts(Judging(), 8)
        monkeypatch.setattr(module, "REMEMBERED", 2)
        for name in "abcd":
            await joining(cohorts, "x", name=name, wait=0.0)
        assert len(cohorts._closed) <= 3
        await joining(cohorts, "x", name="a", wait=0.0)
        monkeypatch.setattr(module, "FORGOTTEN", 0.0)
        await joining(cohorts, "x", name="a", wait=0.0)

    asyncio.run(run())


def test_who_hangs_up_leaves_a_place() -> None:
    judging = Judging()

    async def run() -> None:
        cohorts, gone = Cohorts(judging, 8), Visit()
        first = asyncio.create_task(joining(cohorts, "gone", size=2, visit=gone))
        await asyncio.sleep(0.01)
        gone.leave()
        with pytest.raises(GoneError):
            await first
        assert not cohorts._open, "a group without members is no group"
        assert [each.reward for each in await settled(joining(cohorts, "a", size=2), joining(cohorts, "bb", size=2))] == [1.0, 2.0]  # fmt: skip
        cancelled = asyncio.create_task(joining(cohorts, "x", name="h"))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await settled(cancelled)
        assert not cohorts._open

    asyncio.run(run())
    assert [group.completions for group in judging.groups] == [("a", "bb")]


def test_a_group_that_all_have_left_is_not_judged_further() -> None:
    judging = Judging()

    async def run() -> None:
        judging.go = asyncio.Event()
        cohorts, visits = Cohorts(judging, 8), [Visit(), Visit()]
        tasks = [asyncio.create_task(joining(cohorts, text, size=2, visit=visit)) for text, visit in zip("ab", visits, strict=True)]  # fmt: skip
        await asyncio.sleep(0.01)
        visits[0].leave()
        await asyncio.sleep(0.01)
        assert not judging.visits[0].gone
        visits[1].leave()
        await asyncio.sleep(0.01)
        assert judging.visits[0].gone
        assert [type(each) for each in await settled(*tasks)] == [GoneError, GoneError]
        judging.go.set()
        await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_deadline_is_the_members_own() -> None:
    async def run() -> None:
        cohorts = Cohorts(Judging(), 8)
        late = asyncio.create_task(joining(cohorts, "late", size=4, deadline=0.05))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(joining(cohorts, text, size=4, wait=0.3)) for text in ("a", "bb")]
        with pytest.raises(LateError):
            await late
        assert [(each.reward, each.arrived) for each in await settled(*rest)] == [(1.0, 2), (2.0, 2)]

    asyncio.run(run())


def test_members_agree_and_waiting_is_bounded() -> None:
    async def run() -> None:
        cohorts = Cohorts(Judging(), 6)
        waiting = asyncio.create_task(joining(cohorts, "a"))
        await asyncio.sleep(0.01)
        for different, name in (({"size": 2}, "size"), ({"prompt": (Message("user", "q"),)}, "prompt"), ({"budget": 3}, "budget"), ({"seed": 1}, "seed")):  # fmt: skip
            with pytest.raises(DataError, match=f"another {name}"):
                await joining(cohorts, "b", **different)
        with pytest.raises(BusyError):
            await joining(cohorts, "b", name="h", size=4)
        with pytest.raises(ConfigError, match="a group of 7 cannot wait here"):
            await joining(cohorts, "b", name="h", size=7)
        assert cohorts.waiting == 1
        fits = [asyncio.create_task(joining(cohorts, text, name="h")) for text in "xyz"]
        rest = [asyncio.create_task(joining(cohorts, text)) for text in ("b", "c")]
        assert all(isinstance(each, Share) for each in await settled(waiting, *rest, *fits)), "an open group has room for all of its own"  # fmt: skip

    asyncio.run(run())


def test_a_group_that_could_not_be_judged_may_be_sent_again() -> None:
    judging = Judging(ModelError("out of paper"))

    async def run() -> None:
        cohorts = Cohorts(judging, 8)
        found = await settled(joining(cohorts, "a", size=2), joining(cohorts, "bb", size=2))
        assert [str(each) for each in found] == ["out of paper"] * 2
        judging.error = None
        again = await settled(joining(cohorts, "a", size=2), joining(cohorts, "bb", size=2))
        assert [each.reward for each in again] == [1.0, 2.0]

    asyncio.run(run())


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with served() as each:
        until_ready(each)
        yield each


def sent(client: TestClient, *texts: str, **more: Any) -> list[Any]:
    with ThreadPoolExecutor(8) as pool:
        bodies = [MEMBER | {"size": len(texts), "response": text} | more for text in texts]
        return [each.result() for each in [pool.submit(client.post, PATH, json=body) for body in bodies]]


def test_the_server_rewards_a_group(client: TestClient) -> None:
    found = [each.json() for each in sent(client, "x", "xxx", "xx", group="together")]
    assert [each["reward"] for each in found] == [0.0, 1.0, 0.5]
    assert all((each["arrived"], each["size"], each["reason"]) == (3, 3, None) for each in found)
    assert found[0]["judge"]["model"] == "scripted:longer"
    late = client.post(PATH, json=MEMBER | {"group": "together"})
    assert (late.status_code, "is closed" in late.json()["detail"]) == (409, True)
    (alone,) = sent(client, "x", size=4, wait=0.05, group="alone")
    assert (alone.status_code, alone.json()["reward"]) == (200, None)
    assert "came in time" in alone.json()["reason"]
    budget = sent(client, "x", "xxx", "xx", "xxxx", group="budget", budget=3)
    assert [0 < each.json()["reward"] < 1 for each in budget] == [True] * 4
    assert 'path="/v1/cohort",status="409"' in client.get("/metrics").text


def test_without_a_wait_a_member_waits_for_half_of_its_time(client: TestClient) -> None:
    started = time.monotonic()
    (alone,) = sent(client, "x", size=2, group="half", wait=None, deadline=0.4)
    assert (alone.status_code, alone.json()["arrived"]) == (200, 1)
    assert 0.1 < time.monotonic() - started < 10


def test_an_undecided_group_and_one_that_does_not_fit() -> None:
    mute = Judge(ScriptedBackend(lambda *_: "no idea", context_length=700), sampling=Sampling(votes=1, temperature=0))
    with served(mute) as client:
        until_ready(client)
        found = sent(client, "x", "xx")
        assert [(each.json()["reward"], each.json()["reason"]) for each in found] == [
            (None, "the judge came to no decision")
        ] * 2
        long = sent(client, "word " * 200, "words " * 200, group="long")
        assert [each.status_code for each in long] == [413, 413]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"wait": 500}, 422, "wait is 500 seconds, and the request has 120"),
        ({"wait": 5, "deadline": 2}, 422, "wait is 5 seconds, and the request has 2"),
        ({"size": 1}, 422, "greater than or equal to 2"),
        ({"size": 65}, 422, "less than or equal to 64"),
        ({"group": ""}, 422, "at least 1 character"),
        ({"group": "g" * 257}, 422, "at most 256 characters"),
        ({"wait": -1}, 422, "wait"),
        ({"siblings": 3}, 422, "siblings"),
        ({"prompt": []}, 422, "prompt"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(client: TestClient, change: dict[str, Any], status: int, words: str) -> None:
    found = client.post(PATH, json=MEMBER | change)
    assert (found.status_code, words in found.text) == (status, True), found.text


def test_a_full_queue_takes_no_member_and_those_who_wait_go_on_waiting() -> None:
    go, entered = threading.Event(), threading.Event()

    def answer(request: GenerationRequest, seed: int) -> str:
        entered.set()
        assert go.wait(20)
        return "<answer>A</answer>"

    judge = Judge(ScriptedBackend(answer), sampling=Sampling(votes=1, temperature=0))
    model = Model(lambda: judge, capacity=1, batch=1)
    with TestClient(create_app(model, limits=ServerLimits(max_requests=16))) as client, ThreadPoolExecutor(4) as pool:
        until_ready(client)
        pair = {"prompt": "p", "responses": ["x", "y"]}
        held = [pool.submit(client.post, "/v1/judge", json={"comparisons": [pair]})]
        assert entered.wait(10)
        members = [pool.submit(client.post, PATH, json=MEMBER | {"size": 2, "response": "x"})]
        time.sleep(0.1)  # it waits for the other one, and not in the queue
        assert model.waiting == 0
        held.append(pool.submit(client.post, "/v1/judge", json={"comparisons": [pair] * 20}))
        while model.waiting < 20:
            time.sleep(0.005)
        time.sleep(0.2)
        refused = client.post(PATH, json=MEMBER | {"size": 2, "response": "xx"})
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        go.set()
        assert [each.result().status_code for each in held] == [200, 200]
        again = client.post(PATH, json=MEMBER | {"size": 2, "response": "xx"})
        assert again.status_code == 200
        assert members[0].result().status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from([*MEMBER, "budget", "seed", "deadline"]) | st.text(max_size=5), json_values, max_size=3
    )
)
def test_any_body_is_a_share_or_a_sentence(client: TestClient, change: dict[str, Any]) -> None:
    body = MEMBER | {"group": str(time.monotonic_ns()), "wait": 0} | change
    if body["wait"] is None or (isinstance(body["wait"], int | float) and body["wait"] > 0):
        # Without one, it waits for half of its time.
        body["wait"] = 0
    found = client.post(PATH, content=json.dumps(body), headers={"content-type": "application/json"})
    if found.status_code == 200:
        assert found.json()["reward"] is None and found.json()["reason"]
        return
    assert found.status_code in {409, *REFUSALS} and found.status_code < 500, found.text
    assert ProblemBody.model_validate(found.json()).detail
