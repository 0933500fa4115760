"""The judge as verl's generative reward model: a coroutine that asks verl's router for a verdict in both orders."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_server import Body, chat_server, completion, good, written

from gramr2.errors import ConfigError, DataError, ModelError
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.rewards.adapters.verl import UndecidedError
from gramr2.rewards.adapters.verl_genrm import compute_score

ROW = {"prompt": "What is 6 × 7?", "reference": "It is 43."}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The judge's folder, under the name that these tests use."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judge").mkdir()
    save_template(JudgeTemplate(), tmp_path / "judge")
    return tmp_path / "judge"


def ask(address: str, solution: str, row: dict[str, Any] = ROW, **more: Any) -> dict[str, float]:
    given = {"data_source": "d", "solution_str": solution, "ground_truth": None, "extra_info": row}
    options = {"reward_router_address": address.removeprefix("http://"), "model": "judge"}
    return asyncio.run(compute_score(**given, **options | more))


def test_verl_awaits_it_with_these_names() -> None:
    assert inspect.iscoroutinefunction(compute_score)
    names = [*inspect.signature(compute_score).parameters]
    assert names[:6] == [
        "data_source",
        "solution_str",
        "ground_truth",
        "extra_info",
        "reward_router_address",
        "reward_model_tokenizer",
    ]


def test_a_completion_is_compared_with_its_reference_in_both_orders() -> None:
    with chat_server(good) as (address, seen):
        assert ask(address, "It is 42.") == {"score": 1.0, "decided": 1.0}
        assert {body["model"] for body in seen} == {"judge"}
        first, second = (body["messages"][-1]["content"] for body in seen)
        assert {first.index("It is 42.") < first.index("43"), second.index("It is 42.") < second.index("43")} == {
            True,
            False,
        }
        assert ask(address, "It is 44.", ROW | {"reference": "It is 42."})["score"] == 0
        assert ask(address, "It is 42.", votes=3, seed=1)["score"] == 1
        assert len(seen) == 2 + 2 + 6


def test_the_judges_own_prompt_comes_from_its_folder(tmp_path: Path) -> None:
    save_template(JudgeTemplate(JudgeMode.LABEL, ("Prefer what is true.",)), tmp_path)
    with chat_server(lambda body: completion({"role": "assistant", "content": "<answer>A</answer>"})) as (
        address,
        seen,
    ):
        found = ask(
            address, "It is 42.", model=None, reward_model_tokenizer=SimpleNamespace(name_or_path=str(tmp_path))
        )
    assert found["score"] == 0.5  # the answer is always A
    assert {body["model"] for body in seen} == {str(tmp_path)}
    assert all("1. Prefer what is true." in body["messages"][-1]["content"] for body in seen)


def test_many_completions_at_once() -> None:
    async def all_of(address: str) -> list[dict[str, float]]:
        jobs = [
            compute_score("d", f"It is {n}.", None, ROW, address.removeprefix("http://"), model="judge")
            for n in (41, 42) * 20
        ]
        return await asyncio.gather(*jobs)

    def honest(body: Body) -> Body:
        text = body["messages"][-1]["content"]
        said = written(body) if "42" in text else "<think>\nFeedback: both are wrong.\n</think>\n<answer>tie</answer>"
        return completion({"role": "assistant", "content": said})

    with chat_server(honest) as (address, seen):
        found = asyncio.run(all_of(address))
    assert [each["score"] for each in found] == [0.5, 1.0] * 20
    assert len(seen) == 80


def test_what_is_not_decided_is_no_number_unless_one_is_named() -> None:
    def silent(body: Body) -> Body:
        return completion({"role": "assistant", "content": "I cannot say."})

    with chat_server(silent) as (address, _):
        with pytest.raises(UndecidedError, match="decided none of the comparisons"):
            ask(address, "It is 42.")
        assert ask(address, "It is 42.", undecided=0.25) == {"score": 0.25, "decided": 0.0}


def test_what_verl_forgot_is_named() -> None:
    with pytest.raises(ConfigError, match=r"reward\.reward_model\.enable=True"):
        asyncio.run(compute_score("d", "x", None, ROW))
    with pytest.raises(ConfigError, match=r"elsewhere has no gramr2_judge\.json, so how this judge was asked"):
        ask("http://127.0.0.1:9", "x", model="elsewhere")
    with pytest.raises(DataError, match=r"no extra_info\.prompt"):
        ask("http://127.0.0.1:9", "x", {"reference": "y"})
    unknown = (404, {"error": {"message": "no model judge"}})
    with chat_server(lambda body: unknown) as (address, _), pytest.raises(ModelError, match="does not know this model"):
        ask(address, "x")
