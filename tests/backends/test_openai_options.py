"""Which option a refusal names, and what is sent instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.backends.base import Decoding
from gramr2.backends.openai_options import NEW, OLD, Accepted, RefusedOptions

ALL = {"temperature", "top_p", "seed", OLD, "logprobs", "top_logprobs"}


def sent(accepted: Accepted) -> set[str]:
    return set(accepted.options(Decoding(), 1, logprobs=True))


@pytest.mark.parametrize(
    ("refusal", "left_out", "added"),
    [
        ({"message": "Unsupported value.", "param": "temperature"}, {"temperature"}, set()),
        ({"error": {"message": "top_p must be 1 when using greedy sampling, got 0.95."}}, {"top_p"}, set()),
        ("`temperature` and `top_p` cannot both be specified", {"top_p"}, set()),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, {"seed"}, set()),
        ("'max_tokens' is not supported. Use 'max_completion_tokens' instead.", {OLD}, {NEW}),
        ("logprobs are not supported by gpt-4.1", {"logprobs", "top_logprobs"}, set()),
        ({"message": "Unknown parameter", "param": "top_logprobs"}, {"logprobs", "top_logprobs"}, set()),
    ],
)
def test_the_named_option_is_left_out(refusal: Any, left_out: set[str], added: set[str]) -> None:
    first = Accepted(OLD)
    less = first.without(refusal, first.options(Decoding(), 1, logprobs=True))
    assert less is not None
    assert sent(less) == ALL - left_out | added


@pytest.mark.parametrize(
    "refusal",
    [
        "the prompt is too long",
        "max_tokens is too large: 4096 exceeds the context",
        {"message": "no", "param": "messages"},
        {"message": "temperatures differ"},
        None,
    ],
)
def test_a_refusal_of_the_prompt_leaves_every_option(refusal: Any) -> None:
    first = Accepted(OLD)
    assert first.without(refusal, first.options(Decoding(), 1, logprobs=True)) is None


@pytest.mark.parametrize(
    ("refusal", "top"),
    [
        ("Cannot request more than 5 logprobs.", 5),
        ("Requested sample logprobs of 20, which is greater than max allowed: 5", 5),
        ("logprobs: 20 is not allowed", 0),
    ],
)
def test_as_many_alternatives_as_the_server_allows(refusal: str, top: int) -> None:
    first = Accepted(OLD)
    less = first.without(refusal, first.options(Decoding(), 1, logprobs=True))
    assert less is not None and less.top == top


NAMES = st.sampled_from([*sorted(ALL), NEW, "3", "19", "none of these", "logprob"])


@given(st.lists(st.lists(NAMES, max_size=4).map(" ".join), min_size=40, max_size=40))
def test_whatever_is_refused_there_is_an_end(refusals: list[str]) -> None:
    accepted, steps = Accepted(OLD), 0
    for refusal in refusals:
        less = accepted.without(refusal, accepted.options(Decoding(), 1, logprobs=True))
        if less is not None:
            accepted, steps = less, steps + 1
    assert steps <= 3 + 2 + 3


def test_what_two_threads_learn_is_put_together() -> None:
    known = RefusedOptions(Accepted(OLD))
    known.learn(Accepted(OLD, dropped=frozenset({"seed"})), "server", ["no seed"])
    known.learn(Accepted(NEW, 5, frozenset({"budget"})), "server", ["no max_tokens"])
    assert known.now == Accepted(NEW, 5, frozenset({"seed", "budget"}))
