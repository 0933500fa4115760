"""The judge as a reward of verifiers 0.4: with its classes in their bare form, and with the package where it is installed."""

from __future__ import annotations

import asyncio
import importlib
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gramr2.errors import ConfigError, DataError, NoVerdictError
from gramr2.integrations.judges import NoSiblingsError
from gramr2.judging.scripted import SCRIPTS

MODULE = "gramr2.integrations.verifiers"
try:
    REAL = find_spec("verifiers.v1.envs.best_of_n") is not None
except ModuleNotFoundError:
    REAL = False


class Trace:
    """What is read and recorded of a trace of ``verifiers.v1``."""

    def __init__(self, reply: str, ok: bool = True) -> None:
        self.last_reply, self.ok = reply, ok
        self.rewards: dict[str, Any] = {}
        self.errors: list[Exception] = []

    def record_reward(self, name: str, value: float, weight: float = 1.0) -> None:
        self.rewards[name] = (value, weight)

    def record_error(self, error: Exception) -> None:
        self.errors.append(error)
        self.ok = False


class BestOfN:
    """``BestOfNEnv`` marks the best of the traces when all are finished."""

    async def finalize(self, task: Any, episode: Any) -> None:
        episode.finalized = [each.rewards for each in episode.traces]


def task(prompt: Any = "Why?", answer: Any = None, system: str | None = None) -> Any:
    return SimpleNamespace(prompt=prompt, system_prompt=system, answer=answer)


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def sometimes(request: Any, seed: int) -> Any:
        text = request.messages[-1].content
        seen.append(text)
        return "No idea." if "odd" in text else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "verifiers", sometimes)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:verifiers")
    monkeypatch.delenv("GRAMR2_UNDECIDED", raising=False)
    return seen


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    if not REAL:
        for name in ("verifiers", "verifiers.v1", "verifiers.v1.envs", "verifiers.v1.envs.best_of_n"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["verifiers.v1.envs.best_of_n"].BestOfNEnv = BestOfN  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def test_a_reply_is_compared_with_the_answer(module: Any, judge: list[str]) -> None:
    assert asyncio.run(module.beats_answer(task=task(answer="xx", system="Be brief."), trace=Trace("xxx"))) == 1
    assert "Why?" in judge[0] and "Be brief." in judge[0]
    assert asyncio.run(module.beats_answer(task(answer=["x", "xxx"]), Trace("xx"))) == 0.5
    for nothing in (None, "", [], 7):
        with pytest.raises(DataError, match="no answer to compare a reply with"):
            asyncio.run(module.beats_answer(task(answer=nothing), Trace("xx")))
    with pytest.raises(DataError, match="its user opens the conversation"):
        asyncio.run(module.beats_answer(task(prompt=None, answer="x"), Trace("xx")))


def test_what_is_not_decided_is_no_number_unless_one_is_named(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoVerdictError, match="set GRAMR2_UNDECIDED"):
        asyncio.run(module.beats_answer(task(answer="odd"), Trace("x")))
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.5")
    assert asyncio.run(module.beats_answer(task(answer="odd"), Trace("x"))) == 0.5
    for wrong in ("half", "nan"):
        monkeypatch.setenv("GRAMR2_UNDECIDED", wrong)
        with pytest.raises(ConfigError, match="which is no number"):
            asyncio.run(module.beats_answer(task(answer="odd"), Trace("x")))


def test_siblings_are_compared_and_what_failed_is_left_alone(module: Any) -> None:
    traces = [Trace("x"), Trace("xx"), Trace("xxxx", ok=False), Trace("xxx")]
    asyncio.run(module.reward_siblings(task(), traces, name="mine", weight=2.0))
    assert [each.rewards.get("mine") for each in traces] == [(0, 2.0), (0.5, 2.0), None, (1, 2.0)]
    assert not any(each.errors for each in traces)


def test_a_sibling_without_a_reward_fails_and_the_others_do_not(module: Any) -> None:
    traces = [Trace("odd"), Trace("xx"), Trace("xxx")]
    asyncio.run(module.reward_siblings(task(), traces))
    assert [each.ok for each in traces] == [False, True, True]
    assert traces[0].rewards == {"gramr2": None} and isinstance(traces[0].errors[0], NoVerdictError)
    assert [each.rewards["gramr2"][0] for each in traces[1:]] == [0, 1]


def test_the_last_that_is_ok_is_not_compared_whatever_the_undecided_get(
    module: Any, judge: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.5")
    alone, failed = Trace("x"), Trace("xx", ok=False)
    asyncio.run(module.reward_siblings(task(), [alone, failed]))
    assert (alone.ok, alone.rewards, judge) == (False, {"gramr2": None}, [])
    assert [(type(each), str(each)) for each in alone.errors] == [
        (NoSiblingsError, "no other of the episode's 2 traces is ok: there is nothing to compare it with")
    ]
    assert not failed.errors, "it has its own"


def test_a_judge_that_fails_leaves_no_trace_without_its_reward(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAMR2_JUDGE")
    traces = [Trace("x"), Trace("xx")]
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        asyncio.run(module.reward_siblings(task(), traces))
    assert [each.ok for each in traces] == [False, False]


def test_a_number_that_is_none_leaves_no_trace_without_its_reward(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAMR2_UNDECIDED", "half")
    traces = [Trace("xx"), Trace("odd"), Trace("xxx"), Trace("xxxx", ok=False)]
    with pytest.raises(ConfigError, match="'half', which is no number"):
        asyncio.run(module.reward_siblings(task(), traces))
    assert [each.ok for each in traces] == [False] * 4
    assert [each.rewards for each in traces] == [{}] * 4, "and none with half of it"
    assert [len(each.errors) for each in traces] == [1, 1, 1, 0]


@pytest.mark.skipif(REAL, reason="the real class is tested below")
def test_an_episode_is_rewarded_before_its_best_is_marked(module: Any) -> None:
    episode = SimpleNamespace(traces=[Trace("x"), Trace("xx")])
    asyncio.run(module.SiblingsEnv().finalize(SimpleNamespace(data=task()), episode))
    assert episode.finalized == [{"gramr2": (0, 1.0)}, {"gramr2": (1, 1.0)}]


TASKSET = """
import httpx
import verifiers.v1 as vf
from verifiers.v1.runtimes import ProgramResult

from gramr2.integrations.verifiers import SiblingsEnv


class Data(vf.TaskData):
    answer: str = "a longer answer"


class Poems(vf.Taskset[vf.Task[Data, vf.State, vf.TaskConfig], vf.TasksetConfig]):
    def load(self):
        yield vf.Task(Data(prompt="Why?"), self.config.task)


class Chat(vf.Harness[vf.HarnessConfig]):
    EXECUTES_CODE = NEEDS_CONTAINER = False

    async def launch(self, ctx, trace, runtime, endpoint, secret, *_, **__):
        async with httpx.AsyncClient() as http:
            body = {"model": ctx.model, "messages": [{"role": "user", "content": "Why?"}]}
            found = await http.post(f"{endpoint}/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"})
        return ProgramResult(found.is_error, "", found.text)


__all__ = ["Poems", "Chat", "SiblingsEnv"]
"""


@pytest.mark.skipif(not REAL, reason="verifiers is not installed")
def test_an_episode_of_the_package_is_rewarded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own environment, tasks and traces; the policy is a chat server, whose replies grow."""
    import verifiers.v1 as vf
    from chat_server import chat_server, completion
    from verifiers.v1.utils.loaders import load_environment, resolve_env_config

    (tmp_path / "poems.py").write_text(TASKSET)
    monkeypatch.syspath_prepend(str(tmp_path))
    replies = iter(["x", "odd", "xx", "xxx" * 9])

    def reply(_: Any) -> Any:
        return completion({"role": "assistant", "content": next(replies)}) | {"id": "1", "object": "chat.completion", "created": 1, "model": "policy"}  # fmt: skip

    async def episode(address: str) -> Any:
        rewards = {"beats": {"fn": f"{MODULE}:beats_answer", "weight": 0.5}}
        env = load_environment(
            resolve_env_config(
                {
                    "taskset": {"id": "poems", "task": {"rewards": rewards}},
                    "agent": {"runtime": {"type": "subprocess"}},
                    "n": 4,
                }
            )
        )
        context = vf.ModelContext(
            model="policy", client=vf.EvalClientConfig(base_url=f"{address}/v1", api_key_var="NONE")
        )
        async with env.serving():
            [task] = env.taskset
            return await env.run_episode(task, context)

    with chat_server(reply) as (address, _):
        found = asyncio.run(episode(address))
    assert [each.last_reply for each in found.traces] == ["x", "odd", "xx", "xxx" * 9], found.errors
    told = [{name: value and value.score for name, value in each.rewards.items()} for each in found.traces]
    assert told == [
        {"beats": 0.0, "gramr2": 0.0},
        {"beats": None},
        {"beats": 0.0, "gramr2": 0.5},
        {"beats": 1.0, "gramr2": 1.0},
    ]
    assert [each.reward for each in found.traces] == [0.0, 0.0, 0.5, 1.5]
    assert [each.ok for each in found.traces] == [True, False, True, True]
    assert "set GRAMR2_UNDECIDED" in found.traces[1].errors[0].message
