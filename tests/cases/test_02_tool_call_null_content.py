"""Messages as agents write them: no content beside a call, the roles tool and developer, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gramr2.comparison import Message
from gramr2.data import load_labeled
from gramr2.errors import DataError

CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
PROMPT = [{"role": "user", "content": "Is it raining?"}]


def test_a_call_without_content_and_its_result(write: Callable[..., str]) -> None:
    result = {"role": "tool", "name": "f", "content": "rain", "tool_call_id": "1"}
    row = {
        "prompt": PROMPT,
        "chosen": [CALL, result, {"role": "assistant", "content": "Yes."}],
        "rejected": [{"role": "assistant", "content": "I can not know that."}],
    }
    (item,), _ = load_labeled(write(row))
    assert "[tool call] f {}\n\n[tool result of f] rain\n\nYes." in item.comparison.responses


def test_a_developer_is_a_system_turn(write: Callable[..., str]) -> None:
    asked = [{"role": "developer", "content": "Answer briefly."}, *PROMPT]
    (item,), _ = load_labeled(write({"prompt": asked, "chosen": "Yes", "rejected": "No"}))
    assert item.comparison.prompt[0] == Message("system", "Answer briefly.")


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (CALL | {"tool_calls": [{"function": {"arguments": {}}}]}, "function's name"),
        (CALL | {"tool_calls": "f()"}, "list of calls"),
        (CALL | {"tool_calls": [{"function": {"name": "f", "code": "x"}}]}, "code"),
        ({"role": "assistant", "content": "Yes", "reasoning_content": "because"}, "reasoning_content.*ignore"),
        ({"role": "assistant", "content": [{"type": "audio", "data": "x"}]}, "'audio'.*only text"),
        ({"role": "assistant", "content": None}, "NoneType"),
    ],
)
def test_what_is_not_understood_is_named(turn: dict[str, Any], words: str, write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match=rf"in\.jsonl:1: chosen\[0\].*{words}"):
        load_labeled(write({"prompt": PROMPT, "chosen": [turn], "rejected": "No"}))


def test_only_the_assistant_calls_tools(write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match="only the assistant"):
        load_labeled(write({"prompt": [CALL | {"role": "user", "content": "x"}], "chosen": "a", "rejected": "b"}))
