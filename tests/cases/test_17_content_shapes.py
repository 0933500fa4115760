"""A judge whose server sends unusual answers: the verdict that is there is read, and anything else is an outcome with its reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Body, chat_server, comparisons, completion, good, judge_command, verdict, written


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    return partial(judge_command, monkeypatch, capsys, tmp_path / "out.jsonl")


READABLE: dict[str, Callable[[Body], Answer]] = {
    "blocks": lambda b: completion({"content": [{"type": "text", "text": written(b)}]}),
    "thinking-blocks": lambda b: completion(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "I count."}]},
                {"type": "text", "text": f"<answer>{verdict(b)}</answer>"},
            ]
        }
    ),
    "verdict-in-reasoning": lambda b: completion(
        {"content": None, "reasoning_content": f"I count.\n<answer>{verdict(b)}</answer>"}
    ),
    "no-finish-reason": lambda b: completion({"content": written(b)}, None),
    "null-logprobs": lambda b: {"choices": [{"message": {"content": written(b)}, "logprobs": {"content": [None]}}]},
}
BROKEN: dict[str, tuple[Callable[[Body], Answer], str, str]] = {
    "null-message": (lambda b: completion(None, "error"), "error", "no message (finish_reason error)"),
    "empty-body": (lambda b: "", "error", "empty answer"),
    "html": (lambda b: "<html>try later</html>", "error", "not JSON, '<html>try later</html>'"),
    "a-list": (lambda b: "[1]", "error", "not an object"),
    "error-with-200": (lambda b: {"error": {"message": "Provider down", "code": 502}}, "error", "Provider down"),
    "no-choices": (lambda b: {"choices": None}, "error", "no choices"),
    "refusal": (lambda b: completion({"content": None, "refusal": "I can't help."}), "error", "I can't help."),
    "tool-call": (lambda b: completion({"content": None, "tool_calls": [{}]}), "error", "called a tool"),
    "nothing": (lambda b: completion({"content": None}), "error", "empty message"),
    "deep": (lambda b: "[" * 100_000, "error", "not JSON"),
}


@pytest.mark.parametrize("name", READABLE)
def test_a_verdict_that_is_there_is_read(name: str, tmp_path: Path, judged: Any) -> None:
    with chat_server(READABLE[name]) as (url, _):
        code, rows, said = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl"))
    assert (code, [row["label"] for row in rows]) == (0, ["A", "A"]), said
    assert rows[0]["rationale"]


@pytest.mark.parametrize("name", BROKEN)
def test_one_bad_answer_is_an_outcome_and_costs_no_other(name: str, tmp_path: Path, judged: Any) -> None:
    bad, outcome, reason = BROKEN[name]

    def answer(body: Body) -> Answer:
        return bad(body) if "POISON" in body["messages"][-1]["content"] else good(body)

    with chat_server(answer) as (url, _):
        code, rows, said = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl", 80, 7))
    assert (code, [row["id"] for row in rows if row["label"] != "A"]) == (0, ["7"]), said
    assert {vote["outcome"] for vote in rows[7]["votes"]} == {outcome}
    assert reason in rows[7]["votes"][0]["error"]


def test_an_address_without_v1_is_a_sentence(tmp_path: Path, judged: Any) -> None:
    with chat_server(good) as (url, seen):
        code, _, said = judged(f"openai:m@{url}", comparisons(tmp_path / "in.jsonl", 100))
    assert code == 2
    assert "usually ends in /v1" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert len(seen) < 50


def test_a_run_that_is_stopped_keeps_what_was_answered(tmp_path: Path, judged: Any) -> None:
    """After 60 answers the account is empty; once it is filled, only what is missing is asked and paid for."""
    left = [60]

    def answer(body: Body) -> Answer:
        left[0] -= 1
        return good(body) if left[0] >= 0 else (402, {"error": {"message": "Your credit is used up."}})

    data = comparisons(tmp_path / "in.jsonl", 80)
    with chat_server(answer) as (url, seen):
        model = f"openai:m@{url}/v1"
        code, rows, said = judged(model, data)
        assert (code, rows) == (2, [])
        assert "Your credit is used up." in said.splitlines()[-1]
        assert len(seen) < 60 + 12 + 2 * 16
        before = len(seen)
        left[0] = 1000
        code, rows, _ = judged(model, data)
    assert (code, [row["label"] for row in rows]) == (0, ["A"] * 80)
    assert len(seen) - before == 100
