"""OpenAI's Responses API as turns: every item is shown, or refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from gramr2.errors import DataError
from gramr2.integrations.responses import answered, asked, conversation

CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "add", "arguments": '{"a": 1}'}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "46"}


def said(text: str, **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [{"url": "x"}], "logprobs": [{"token": "x"}]}
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]} | more


def pairs(turns: Any) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in turns]


def test_a_request() -> None:
    assert pairs(asked({"input": "What is 12+34?"})) == [("user", "What is 12+34?")]
    tool = {"type": "function", "name": "add"}
    turns = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "What is "}, {"type": "input_text", "text": "12+34?"}],
        },
        CALL,
        RESULT,
    ]
    found = pairs(asked({"input": turns, "instructions": "Add.", "tools": [tool]}))
    assert found[0][0] == "system" and found[0][1].startswith("Add.") and '"add"' in found[0][1]
    assert found[1:] == [
        ("system", "Be brief."),
        ("user", "What is 12+34?"),
        ("assistant", '[tool call] add {"a": 1}'),
        ("user", "[tool result] 46"),
    ]


def test_a_response() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "46, or 44?"}]}
    assert answered({"output": [thought, said("It is 46.")]}) == "It is 46."
    assert answered({"output": [{"type": "message", "content": [{"type": "output_text", "text": "46"}]}]}) == "46"
    assert answered({"output": []}) == answered({}) == answered({"output": [said("", content=[])]}) == ""
    refusal = said("", content=[{"type": "refusal", "refusal": "I cannot."}])
    assert answered({"output": [refusal]}) == "I cannot."
    whole = answered({"output": [CALL, RESULT, said("It is 46.")]})
    assert [whole.index(each) for each in ("add", "46", "It is 46.")] == sorted(whole.index(each) for each in ("add", "46", "It is 46."))  # fmt: skip


def test_a_conversation() -> None:
    turns = [
        {"role": "user", "content": "12+34?"},
        {"role": "assistant", "content": "46"},
        {"role": "user", "content": "Sure?"},
    ]
    assert pairs(conversation(turns)) == [(each["role"], each["content"]) for each in turns]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "computer_call", "id": "x"},
        said("", content=[{"type": "output_image", "image": "x"}]),
        said("", role="robot"),
    ],
)
def test_what_is_no_text_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        answered({"output": [item]})
    with pytest.raises(DataError):
        asked({"input": [item]})
    with pytest.raises(DataError):
        asked({"input": []})
