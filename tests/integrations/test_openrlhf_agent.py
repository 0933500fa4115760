"""The judge as OpenRLHF's agent: loaded by its path and called as its engine does, with its executor in bare form or its own."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import random
import re
import sys
from collections.abc import Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gramr2.errors import ConfigError, DataError, ModelError, NoVerdictError
from gramr2.integrations.judges import NoSiblingsError
from gramr2.judging.scripted import SCRIPTS

FILE = Path(__file__).parents[2] / "src" / "gramr2" / "integrations" / "openrlhf_agent.py"
FOUND = find_spec("openrlhf")
END = 0
"""the policy's end token; any other token is a letter"""
FOREVER = "…"


class Bare:
    """``SingleTurnAgentExecutor`` of 0.11.2 without rewards: the tokens of the prompt and of what the engine generates."""

    def __init__(self, remote_rm_url: Any = None) -> None:
        pass

    async def execute(self, prompt: Any, label: Any, sampling_params: Any, max_length: int, hf_tokenizer: Any, llm_engine: Any, images: Any = None) -> Any:  # fmt: skip
        asked = hf_tokenizer(text=prompt, add_special_tokens=False, return_tensors="pt")["input_ids"][0].tolist()
        found = (
            (await llm_engine.generate(asked, deepcopy(sampling_params), multi_modal_data=None)).outputs[0].token_ids
        )
        ranges = [(len(asked), len(asked) + len(found))]
        return {"prompt": prompt, "observation_tokens": asked + found, "action_ranges": ranges, "reward": None, "scores": None, "extra_logs": {}}  # fmt: skip


class Tokens(list[int]):
    def tolist(self) -> list[int]:
        return [*self]


class Tokenizer:
    all_special_ids = (END,)

    def __call__(self, text: str, **_: Any) -> Any:
        return {"input_ids": [Tokens(map(ord, text))]}

    def decode(self, tokens: list[int], skip_special_tokens: bool = True) -> str:
        return "".join("<end>" if each == END else chr(each) for each in tokens)


class Engine:
    """Generates the texts one after the other, each after another time; it dies of an empty one."""

    def __init__(self, *texts: str) -> None:
        self.texts = iter(texts)

    async def generate(self, tokens: Any, params: Any, multi_modal_data: Any = None) -> Any:
        text = next(self.texts)
        await asyncio.sleep(random.random() / 50)
        if not text:
            raise ModelError("the engine has died")
        await asyncio.sleep(60 if text == FOREVER else 0)
        made = [*map(ord, text.replace("\0", "")), *[END] * (1 + text.count("\0"))]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=made, finish_reason="stop", logprobs=None, text="")])


@pytest.fixture
def judge_asked() -> list[str]:
    return []


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, judge_asked: list[str]) -> Iterator[Any]:
    """Made as OpenRLHF does it, in an engine's process."""
    base = ModuleType("openrlhf.utils.agent")
    base.SingleTurnAgentExecutor = Bare  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "openrlhf.utils.logging_utils", SimpleNamespace(init_logger=logging.getLogger))
    if FOUND is not None:  # its package imports what only its trainer needs
        file = Path((FOUND.submodule_search_locations or [""])[0]) / "utils" / "agent.py"
        base = load(file, "openrlhf.utils.agent")
    for name in ("openrlhf", "openrlhf.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "openrlhf.utils.agent", base)

    def sometimes(request: Any, seed: int) -> Any:
        text = request.messages[-1].content
        judge_asked.append(text)
        assert "<end>" not in text and "<|im_start|>" not in text, "it would tell whose text it is"
        return "No idea." if "odd" in text else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "agent", sometimes)
    monkeypatch.setenv("GRAMR2_JUDGE", "scripted:agent")
    monkeypatch.delenv("GRAMR2_UNDECIDED", raising=False)
    yield load(FILE, "agent_module").AgentExecutor


def load(file: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LABEL = {"prompt": "Why?"}


def executions(executor: Any, engine: Engine, samples: int, prompt: str = "<|im_start|>Why?", label: Any = LABEL, params: Any = None) -> list[Any]:  # fmt: skip
    """What OpenRLHF's engine begins: parameters that came over the wire, for all samples of a prompt."""
    params = params or SimpleNamespace(max_tokens=64, logprobs=None)
    return [
        executor.execute(
            prompt=prompt,
            label=label,
            sampling_params=params,
            max_length=256,
            hf_tokenizer=Tokenizer(),
            llm_engine=engine,
            images=None,
        )
        for _ in range(samples)
    ]


async def generated(*given: Any, **more: Any) -> list[Any]:
    """``generate_responses`` of OpenRLHF's engine."""
    return await asyncio.gather(*executions(*given, **more))


def test_samples_of_a_prompt_are_compared_with_each_other(agent: Any) -> None:
    found = asyncio.run(generated(agent(), Engine("x", "xxx", "xx"), 3))
    assert [(each["reward"], each["scores"]) for each in found] == [(0, 0), (1, 1), (0.5, 0.5)]
    assert all(each["extra_logs"] == {"decided": 1.0} for each in found)
    assert found[1]["observation_tokens"][-4:] == [*map(ord, "xxx"), END], "the policy is trained on its end token"


def test_the_same_prompt_in_many_steps_is_a_group_each(agent: Any) -> None:
    async def training() -> None:
        executor = agent()
        for _ in range(3):
            texts = [Engine(*("x" * (i + j) for j in range(2))) for i in range(1, 9)]
            found = await asyncio.gather(*(generated(executor, each, 2) for each in texts))
            assert [[each["reward"] for each in group] for group in found] == [[0, 1]] * 8
            assert not executor._begun

    asyncio.run(training())


def test_prompts_are_never_mixed(agent: Any) -> None:
    """Not even if an engine were to share the parameters."""

    async def both() -> Any:
        executor, params = agent(), SimpleNamespace(max_tokens=64, logprobs=None)
        prompts = ("Why?", "How?")
        return await asyncio.gather(*(generated(executor, Engine("x", "xx"), 2, each, "", params) for each in prompts))

    assert [[each["reward"] for each in group] for group in asyncio.run(both())] == [[0, 1]] * 2


def test_a_sample_that_is_alone_is_compared_with_its_label(agent: Any) -> None:
    for label, reward in (
        ({"prompt": "Why?", "reference": "x"}, 1),
        ({"prompt": "Why?", "references": ["x", "xxx"]}, 0.5),
    ):
        [found] = asyncio.run(generated(agent(), Engine("xx"), 1, label=label))
        assert found["reward"] == reward
    [found] = asyncio.run(generated(agent(), Engine("xx"), 1, prompt="Why?", label="xxx"))
    assert found["reward"] == 0
    for label in ("", None, LABEL):
        with pytest.raises(DataError, match="no siblings, and its label has no reference"):
            asyncio.run(generated(agent(), Engine("xx"), 1, label=label))


def test_tokens_within_a_completion_stay(agent: Any) -> None:
    [_, found] = asyncio.run(generated(agent(), Engine("x", "xx\0\0"), 2))
    assert found["reward"] == 1


def test_siblings_of_one_that_fails_do_not_wait_for_it(agent: Any, judge_asked: list[str]) -> None:
    async def steps() -> None:
        executor = agent()
        for texts in (("", "x", "xx"), ("x", "", "xx"), ("x", "xx", "")):
            begun = [asyncio.create_task(each) for each in executions(executor, Engine(*texts), 3)]
            found = await asyncio.wait_for(asyncio.gather(*begun, return_exceptions=True), 5)
            assert sorted(map(str, found)) == [
                *["a sibling of this completion failed, so it is not compared: the engine has died"] * 2,
                "the engine has died",
            ]
            with pytest.raises(ModelError, match="^the engine has died$"):
                await generated(executor, Engine(*texts), 3)
            assert not executor._begun and not executor._gathering._open
        assert judge_asked == []
        assert [each["reward"] for each in await generated(executor, Engine("x", "xx"), 2)] == [0, 1]

    asyncio.run(steps())


@pytest.mark.parametrize(("seconds", "goes"), [(0, 2), (0.1, 2), (0.1, 0)], ids=["begun", "generating", "waiting"])
def test_siblings_of_one_that_is_cancelled_do_not_wait_for_it(
    agent: Any, judge_asked: list[str], seconds: float, goes: int
) -> None:
    async def steps() -> None:
        executor = agent()
        begun = [asyncio.create_task(each) for each in executions(executor, Engine("x", "xx", FOREVER), 3)]
        await asyncio.sleep(seconds)
        begun[goes].cancel()
        with pytest.raises(NoSiblingsError, match="so it is not compared: it was cancelled"):
            await asyncio.wait_for(begun[1], 5)
        begun[2].cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        assert not executor._begun and not executor._gathering._open and judge_asked == []

    asyncio.run(steps())


def test_what_is_not_decided_is_no_number_unless_one_is_named(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoVerdictError, match="OpenRLHF has no missing reward: set GRAMR2_UNDECIDED"):
        asyncio.run(generated(agent(), Engine("odd", "x"), 2))
    monkeypatch.setenv("GRAMR2_UNDECIDED", "0.5")
    found = asyncio.run(generated(agent(), Engine("odd", "xx", "x"), 3))
    assert [(each["reward"], each["extra_logs"]["decided"]) for each in found] == [(0.5, 0), (1, 1), (0, 1)]


def test_what_cannot_be_judged_is_a_sentence(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="a label: an object may have"):
        asyncio.run(generated(agent(), Engine("x"), 1, label={"answer": "x"}))
    with pytest.raises(DataError, match="images, which the judge cannot see"):
        asyncio.run(agent().execute("Why?", LABEL, None, 8, Tokenizer(), Engine("x"), images=["x.png"]))
    monkeypatch.delenv("GRAMR2_JUDGE")
    with pytest.raises(ConfigError, match="set GRAMR2_JUDGE"):
        asyncio.run(generated(agent(), Engine("x", "xx"), 2))


@pytest.mark.skipif(FOUND is None, reason="OpenRLHF is not installed")
@pytest.mark.parametrize("script", ["openrlhf.sh", "openrlhf_agent.sh"])
def test_the_flags_of_the_examples_are_those_of_its_parser(script: str) -> None:
    assert FOUND is not None
    parser = Path((FOUND.submodule_search_locations or [""])[0]) / "cli" / "train_ppo_ray.py"
    known = set(re.findall(r'add_argument\(\s*"(--[\w.]+)"', parser.read_text()))
    lines = (Path(__file__).parents[2] / "examples" / script).read_text().splitlines()
    used = {flag for line in lines if not line.startswith("#") for flag in re.findall(r"(?<!\S)--[\w.]+", line)}
    assert len(used) > 10 and used <= known, used - known
