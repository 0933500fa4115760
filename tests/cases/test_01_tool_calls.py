"""A tool call is part of what is judged, in files, in Python, over the wire and in a trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gramr2.comparison import Comparison
from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.rewards.adapters.trl import TRLReward
from gramr2.wire import JudgeRequest, turns

USER = {"role": "user", "content": "Is it raining in Lisbon now?"}


def calling(name: str, arguments: Any, content: str | None = "Let me check.") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "content": content, "tool_calls": [{"type": "function", "function": function}]}


def test_answers_that_differ_in_their_calls_alone_differ(write: Callable[..., str]) -> None:
    row = {
        "prompt": [USER],
        "chosen": [calling("get_weather", {"city": "Lisbon"})],
        "rejected": [calling("delete_account", '{"user": "me"}')],
    }
    (item,), _ = load_labeled(write(row))
    assert set(item.comparison.responses) == {
        'Let me check.\n[tool call] get_weather {"city": "Lisbon"}',
        'Let me check.\n[tool call] delete_account {"user": "me"}',
    }


def test_a_call_in_the_prompt_and_the_tools_are_shown(write: Callable[..., str]) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "description": "The weather now."}}]
    asked = [USER, calling("get_weather", {"city": "Lisbon"}, None), {"role": "tool", "content": "rain"}]
    row = {"prompt": asked, "tools": tools, "chosen": "It rains.", "rejected": "No."}
    (item,), _ = load_labeled(write(row))
    for words in ("The weather now.", '[tool call] get_weather {"city": "Lisbon"}', "[tool result] rain"):
        assert words in item.comparison.prompt_text


def test_every_door_reads_the_same_turns(write: Callable[..., str]) -> None:
    prompt = [USER, calling("get_weather", {"city": "Lisbon"}, None), {"role": "tool", "content": "rain"}]
    (item,), _ = load_labeled(write({"prompt": prompt, "responses": ["a", "b"], "label": "A"}))
    request = JudgeRequest.model_validate({"comparisons": [{"prompt": prompt, "responses": ["a", "b"]}]})
    assert item.comparison.prompt == Comparison.of(prompt, "a", "b").prompt == turns(request.comparisons[0].prompt)


def test_every_door_refuses_the_same_turns(write: Callable[..., str]) -> None:
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}}]}]
    hidden = [USER | {"attachment": "the deed"}]
    for prompt, word in ((picture, "image_url"), (hidden, "attachment")):
        with pytest.raises(DataError, match=word):
            load_labeled(write({"prompt": prompt, "responses": ["a", "b"], "label": "A"}))
        with pytest.raises(DataError, match=word):
            Comparison.of(prompt, "a", "b")
        with pytest.raises(ValueError, match=word):
            JudgeRequest.model_validate({"comparisons": [{"prompt": prompt, "responses": ["a", "b"]}]})
        with pytest.raises(DataError, match=word):
            TRLReward(lambda groups: [])(prompts=[prompt], completions=["a"])


def test_what_a_tool_says_is_not_the_policys_word() -> None:
    seen: list[Any] = []

    def remember(groups: Any) -> list[list[float | None]]:
        seen.extend(groups)
        return [[0.0] * len(each.completions) for each in groups]

    said = [calling("get_weather", {"city": "Lisbon"}, None), {"role": "tool", "content": "rain"}]
    TRLReward(remember)(prompts=[[USER]], completions=[[*said, {"role": "assistant", "content": "Yes."}]])
    (text,) = seen[0].completions
    assert text == '[tool call] get_weather {"city": "Lisbon"}\n\n[tool result] rain\n\nYes.'
