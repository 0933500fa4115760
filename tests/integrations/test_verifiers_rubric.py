"""The judge as a rubric of verifiers before 0.4: with the convention in its bare form, and with the package where it is there."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from inspect import isawaitable, signature
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gramr2.errors import ConfigError, DataError, NoVerdictError
from gramr2.judging.scripted import SCRIPTS

MODULE = "gramr2.integrations.verifiers_rubric"


def real() -> bool:
    try:
        return find_spec("verifiers.rubrics") is not None
    except ModuleNotFoundError:
        return False


class Bare:
    """``Rubric`` of 0.2.1, whose reward functions are called by names, and whose failures are 0.0."""

    def __init__(self, funcs: list[Any], weights: list[float]) -> None:
        self.funcs, self.weights = funcs, weights

    def score_objects(self, state: Any) -> dict[str, Any]:
        return {"prompt": state["prompt"], "completion": state["completion"], "answer": state.get("answer", ""), "state": state, "info": {}, "parser": None, "task": None}  # fmt: skip

    def group_score_objects(self, states: list[Any]) -> dict[str, Any]:
        names = {"prompts": "prompt", "completions": "completion", "answers": "answer"}
        return {many: [each.get(one, "") for each in states] for many, one in names.items()} | {"states": states, "parser": None, "tasks": [], "infos": []}  # fmt: skip

    def add_metric(self, func: Any, weight: float = 0.0) -> None:
        self.funcs.append(func)
        self.weights.append(weight)

    async def _called(self, func: Any, objects: dict[str, Any], failed: Any) -> Any:
        names = signature(func).parameters
        try:
            found = func(**{name: objects[name] for name in names if name in objects})
            return await found if isawaitable(found) else found
        except Exception:  # noqa: BLE001  # as verifiers does
            return failed

    async def _call_individual_reward_func(self, func: Any, state: Any) -> float:
        return float(await self._called(func, self.score_objects(state), 0.0))

    async def _call_group_reward_func(self, func: Any, states: list[Any]) -> list[float]:
        found: list[float] = await self._called(func, self.group_score_objects(states), [0.0] * len(states))
        return found

    async def score_rollout(self, state: Any) -> None:
        await self._score([state], lambda func: False)

    async def score_group(self, states: list[Any]) -> None:
        await self._score(states, lambda func: "completions" in signature(func).parameters)

    async def _score(self, states: list[Any], of_group: Callable[[Any], bool]) -> None:
        for each in states:
            each.update(reward=0.0, metrics={})
        for func, weight in zip(self.funcs, self.weights, strict=True):
            if of_group(func):
                rewards = await self._call_group_reward_func(func, states)
            else:
                rewards = [await self._call_individual_reward_func(func=func, state=each) for each in states]
            for each, reward in zip(states, rewards, strict=True):
                each["reward"] += weight * reward
                each["metrics"][func.__name__] = reward


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def sometimes(request: Any, seed: int) -> Any:
        text = request.messages[-1].content
        assert "secret" not in text, "the policy's reasoning is not shown"
        return "No idea." if "odd" in text else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "rubric", sometimes)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:rubric")
    monkeypatch.delenv("GRAMR2_UNDECIDED", raising=False)
    if not real():
        for name in ("verifiers", "verifiers.rubrics", "verifiers.rubrics.rubric"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["verifiers.rubrics.rubric"].Rubric = Bare  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


class Turn(SimpleNamespace):
    """A message as an object, as verifiers has them."""

    def model_dump(self) -> dict[str, Any]:
        return vars(self)


def state(completion: Any, **more: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": "Why?"}],
        "completion": completion,
        "trajectory": [],
        "answer": "",
    } | more


def said(text: str) -> list[Any]:
    return [Turn(role="assistant", content=text, reasoning_content="secret", tool_calls=None)]


def scored(rubric: Any, *states: dict[str, Any]) -> list[float]:
    asyncio.run(rubric.score_group([*states]))
    return [each["reward"] for each in states]


def test_a_group_is_rewarded_among_siblings(module: Any) -> None:
    assert scored(module.JudgeRubric(), state(said("x")), state(said("xxx")), state(said("xx"))) == [0, 1, 0.5]
    assert scored(module.JudgeRubric(weight=2.0), state("x", prompt="Why?"), state("xx", prompt="Why?")) == [0, 2]
    tools = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "46"},
        {"role": "assistant", "content": "It is 46."},
    ]  # fmt: skip
    assert scored(module.JudgeRubric(), state(tools), state([]), state("It is 46.")) == [1, 0, 0.5]


def test_a_column_answer_is_a_reference(module: Any) -> None:
    rubric = module.JudgeRubric(reference=True)
    assert scored(rubric, state(said("xx"), answer="x"), state(said("xx"), answer="xxx")) == [1, 0]
    alone = state(said("xx"), answer="x")
    asyncio.run(rubric.score_rollout(alone))
    assert alone["reward"] == 1
    with pytest.raises(DataError, match="no answer to compare a completion with"):
        scored(rubric, state(said("xx")))


def test_a_failure_is_not_0(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rubric = module.JudgeRubric()
    group = [state(said(text)) for text in ("odd", "x", "xx")]
    with pytest.raises(NoVerdictError, match="set GRAMR2_UNDECIDED"):
        scored(rubric, *group)
    with pytest.raises(DataError, match="1 completions of 1 prompts"):
        scored(rubric, group[0])
    with pytest.raises(DataError, match="2 completions of 2 prompts"):
        scored(rubric, group[1], state(said("x"), prompt="How?"))
    with pytest.raises(DataError, match="image"):
        scored(rubric, group[1], state([{"role": "assistant", "content": [{"type": "image_url"}]}]))
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.5")
    assert scored(rubric, *group) == [0.5, 0, 1]
    monkeypatch.delenv("GRAMR2_JUDGE")
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        scored(rubric, *group)


def test_other_functions_are_called_as_verifiers_calls_them(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def length(completion: Any) -> float:
        return float(len(completion[-1].content))

    def rank(completions: Any) -> list[float]:
        return [float(i) for i, _ in enumerate(completions)]

    async def fails(state: Any) -> float:
        raise ValueError("a mistake of its own")

    for given in (
        module.JudgeRubric(funcs=[length, rank, fails], weights=[0.5, 10, 1]),
        module.JudgeRubric(),
        module.JudgeRubric(reference=True),
    ):
        if len(given.funcs) == 1:
            given.add_metric(length, 0.5)
            given.add_metric(rank, 10)
            given.add_metric(fails)
        states = [state(said(text), answer="xx") for text in ("x", "xxx")]
        assert scored(given, *states) == [0.5, 12.5]
        del states[1]["metrics"][given.funcs[0].__name__]
        assert states[1]["metrics"] == {"length": 3, "rank": 1, "fails": 0}
    assert module.JudgeRubric(funcs=[length]).weights == [1, 1]
    monkeypatch.delenv("GRAMR2_JUDGE")
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        scored(given, *states)


def test_weights_are_those_of_the_other_functions(module: Any) -> None:
    for funcs in ([], None, [len, len]):
        with pytest.raises(ConfigError, match="1 weights for . other functions: give one each; weight is the judge's"):
            module.JudgeRubric(funcs=funcs, weights=[1.0])


@pytest.mark.skipif(not real(), reason="verifiers before 0.4 is not installed")
def test_the_package_takes_it_for_what_it_is(module: Any) -> None:
    import verifiers as vf

    siblings, reference = module.JudgeRubric(), module.JudgeRubric(reference=True)
    assert (siblings.has_group_rewards, reference.has_group_rewards) == (True, False)

    def length(completion: Any) -> float:
        return float(len(completion[-1].content))

    both = vf.RubricGroup([siblings, vf.Rubric(funcs=[length], weights=[10.0])])
    states = [state(said("x")), state(said("xxx"))]
    assert scored(both, *states) == [10, 31]
    assert states[1]["metrics"] == {"beats_siblings": 1, "length": 3}
