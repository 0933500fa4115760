"""A judge whose server refuses an option: the option is left out from then on, and a hopeless run stops with a reason."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Body, chat_server, comparisons, good, judge_command, refused


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    return partial(judge_command, monkeypatch, capsys, tmp_path / "out.jsonl")


ONLY_ONE = (
    "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
)
NOT_BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
RENAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
EXTRA = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]

SERVERS: dict[str, Any] = {
    "only-temperature-1": lambda b: refused(ONLY_ONE, "temperature") if b.get("temperature", 1) != 1 else None,
    "no-seed": lambda b: refused("Unrecognized request argument supplied: seed") if "seed" in b else None,
    "no-extra-fields": lambda b: (422, {"detail": EXTRA}) if "seed" in b else None,
    "no-top-p": lambda b: refused("Unsupported parameter: 'top_p'", "top_p") if "top_p" in b else None,
    "not-both": lambda b: refused(NOT_BOTH) if {"top_p", "temperature"} <= b.keys() else None,
    "renamed-budget": lambda b: refused(RENAMED, "max_tokens") if "max_tokens" in b else None,
    "no-budget": lambda b: next((refused(f"{k} is unsupported") for k in b if k.startswith("max_")), None),
    "nothing-at-all": lambda b: next(
        (refused(f"unknown field {k!r}") for k in b if k not in ("model", "messages")), None
    ),
}


def fussy(name: str, body: Body) -> Answer:
    return SERVERS[name](body) or good(body)


@pytest.mark.parametrize("name", SERVERS)
def test_a_refused_option_is_left_out_and_remembered(name: str, tmp_path: Path, judged: Any) -> None:
    with chat_server(lambda body: fussy(name, body)) as (url, seen):
        code, rows, said = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl", 40))
    assert code == 0, said
    assert [row["label"] for row in rows] == ["A"] * 40
    refusals = sum(SERVERS[name](body) is not None for body in seen)
    # Each of the 16 workers may learn it at the same time, at worst once per option.
    assert 0 < refusals <= 16 * (6 if name == "nothing-at-all" else 2)


def test_fewer_alternatives_are_better_than_none(tmp_path: Path, judged: Any) -> None:
    def answer(body: Body) -> Answer:
        return refused("Cannot request more than 5 logprobs.") if body.get("top_logprobs", 0) > 5 else good(body)

    with chat_server(answer) as (url, seen):
        code, rows, _ = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl"))
    assert (code, [row["label"] for row in rows]) == (0, ["A", "A"])
    assert seen[-1]["top_logprobs"] == 5


def test_a_prompt_that_names_an_option_does_not_cost_the_others_that_option(tmp_path: Path, judged: Any) -> None:
    def answer(body: Body) -> Answer:
        text = body["messages"][-1]["content"]
        return refused(f"the prompt is not allowed: temperature {text[:20]}") if "POISON" in text else good(body)

    with chat_server(answer) as (url, seen):
        code, rows, _ = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl", 30, 4))
    assert (code, [row["id"] for row in rows if row["label"] is None]) == (0, ["4"])
    assert all("temperature" in body for body in seen if "POISON" not in body["messages"][-1]["content"])


def test_a_prompt_that_is_too_long_does_not_cost_the_others_their_budget(tmp_path: Path, judged: Any) -> None:
    long = "'max_tokens' is too large: 272. This model's maximum context length is 4096 tokens."

    def answer(body: Body) -> Answer:
        return refused(long, "max_tokens") if "POISON" in body["messages"][-1]["content"] else good(body)

    with chat_server(answer) as (url, seen):
        code, rows, _ = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl", 30, 4))
    assert (code, [row["id"] for row in rows if row["label"] is None]) == (0, ["4"])
    assert "maximum context length" in rows[4]["votes"][0]["error"]
    assert all("max_tokens" in body for body in seen)


def test_a_hopeless_run_stops_after_a_dozen_with_the_servers_own_sentence(tmp_path: Path, judged: Any) -> None:
    with chat_server(lambda body: refused("This organisation has been disabled.")) as (url, seen):
        code, rows, said = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl", 500))
    assert (code, rows) == (2, [])
    assert "This organisation has been disabled." in said.splitlines()[-1]
    assert len(seen) < 12 + 2 * 16
    assert "Traceback" not in said


def test_a_small_hopeless_run_ends_with_an_error_too(tmp_path: Path, judged: Any) -> None:
    with chat_server(lambda body: refused("Top up your account.")) as (url, _):
        code, rows, said = judged(f"openai:m@{url}/v1", comparisons(tmp_path / "in.jsonl"))
    assert code == 1
    assert "no request was answered" in said and "Top up your account." in said
    assert rows[0]["votes"][0]["error"] == "400: Top up your account."
