"""Answers of chat APIs, of every shape that JSON allows."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.backends.base import VerdictReading
from gramr2.backends.openai_answers import completion_of, told
from gramr2.judgment import FinishReason

READING = VerdictReading()
KEYS = st.sampled_from(
    ["choices", "message", "content", "text", "type", "thinking", "reasoning", "reasoning_content", "refusal", "logprobs",
     "finish_reason", "token", "logprob", "top_logprobs", "usage", "prompt_tokens", "error", "tool_calls"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["<answer>", "A", "stop", "\ud800"])
ANYTHING = st.recursive(LEAVES, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=4))


@given(ANYTHING, st.sampled_from(["", "<answer>"]), st.none() | st.just(READING))
def test_no_shape_raises_and_every_failure_has_a_reason(
    inside: Any, prefill: str, reading: VerdictReading | None
) -> None:
    message = {"choices": [{"message": inside}]}
    deeper = {"choices": [{"message": {"content": inside, "reasoning": inside}, "logprobs": {"content": inside}}]}
    for body in (inside, {"choices": inside}, {"choices": [inside]}, message, deeper):
        found = completion_of(json.dumps(body), prefill, reading)
        if found.finish_reason is FinishReason.ERROR:
            assert found.error
        f"{found.text}{found.error}".encode()
        if found.label_logprobs is not None:
            assert math.fsum(map(math.exp, found.label_logprobs.values())) == pytest.approx(1)


@given(st.text())
def test_no_text_raises(raw: str) -> None:
    assert completion_of(raw, "", READING).finish_reason in FinishReason


def told_at(tokens: Any) -> str:
    return json.dumps({"choices": [{"message": {"content": "<answer>A</answer>"}, "logprobs": {"content": tokens}}]})


@pytest.mark.parametrize("logprob", [None, "x", True, 3.0, math.nan, math.inf, -math.inf])
def test_a_log_probability_that_is_none_is_left_out(logprob: Any) -> None:
    first = {"token": "<answer>", "top_logprobs": []}
    sound, odd = {"token": "A", "logprob": -0.1}, {"token": "B", "logprob": logprob}
    found = completion_of(told_at([first, {"token": "A", "top_logprobs": [sound, odd]}]), "", READING)
    assert found.label_logprobs is not None
    assert math.exp(found.label_logprobs["B"]) == pytest.approx(1 / 3)
    alone = completion_of(told_at([first, {"token": "A", "top_logprobs": [odd]}]), "", READING)
    assert alone.label_logprobs is None


def test_a_verdict_inside_unfinished_thinking_is_no_verdict() -> None:
    thinking = {"content": "", "reasoning_content": "It might be <answer>A</answer> but then again"}
    found = completion_of(json.dumps({"choices": [{"message": thinking, "finish_reason": "stop"}]}), "", READING)
    assert found.text.endswith("</think>\n")
    cut = {"content": "", "reasoning_content": "It might be <answer>A</answer>"}
    found = completion_of(json.dumps({"choices": [{"message": cut, "finish_reason": "length"}]}), "", READING)
    assert (found.finish_reason, found.text.endswith("</think>\n")) == (FinishReason.LENGTH, True)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"error": {"message": "no", "code": 1}}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": [{"msg": "no"}]}, '[{"msg": "no"}]'),
        ("first\nsecond", "first"),
        ({"code": 502}, '{"code": 502}'),
        ("x" * 500, "x" * 200 + "…"),
    ],
)
def test_the_servers_own_sentence(body: Any, sentence: str) -> None:
    assert told(body) == sentence
