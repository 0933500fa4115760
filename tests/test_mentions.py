"""How texts name the responses: what is exchanged, and what is seen to be beyond that."""

from __future__ import annotations

import time

import pytest

from gramr2.mentions import has_bare_mentions, swap_mentions, turned


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Response A is short; Response B is not.", "Response B is short; Response A is not."),
        ("Responses A and B agree.", "Responses B and A agree."),
        ("A good answer by Assistant A.", "A good answer by Assistant B."),
        ("Vitamin B helps.", "Vitamin B helps."),
        ("response_a", "response_b"),
        ("Response A fails to answer a simple question.", "Response B fails to answer a simple question."),
        ("In response a user of model A wrote it.", "In response a user of model B wrote it."),
        ("responses a and b agree", "responses b and a agree"),
        ("Responses A and a short one", "Responses B and a short one"),
        ("Response A and B agree.", "Response B and A agree."),
        ("Output (a) is better than Output (b).", "Output (b) is better than Output (a)."),
        ("Response-A is short.", "Response-B is short."),
        ("Solution B solves it.", "Solution A solves it."),
        ("Response A更好，Response B不好。", "Response B更好，Response A不好。"),
        ("**Response A** and _Response B_", "**Response B** and _Response A_"),
    ],
)
def test_mentions(before: str, after: str) -> None:
    assert swap_mentions(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "A is better because B rambles.",
        "So the better one is A.",
        "I prefer A",
        "(A)",
        "It is A, because it is short.",
        "A > B",
        "A over B",
        "A’s answer is short.",
        "B's answer is short.",
        "Mine: A\nIt is short.",
        "response b is short",
        "response a is short",
        "The first response is short.",
        "I prefer the latter.",
        "The left one is short.",
        "The first is right, the second is not.",
        "A seems right.",
        "A would be better.",
        "I choose A for its clarity.",
        "'A' is right; 'B' is not.",
        "Response A is short, 'B' is long.",
        "‘A’ is better",
        "A doesn't answer.",
        "A (shorter)",
        "A – clear",
        "A - clear",
        "__A__ is better",
        "Mine: A\r\nIt is short.",
        "The first, however, is wrong.",
        "回答A更好，回答B不好",
        "选择A。",
        "答案是B。",
        "Antwort A ist besser, weil sie kurz ist.",
        "La réponse A est plus courte.",
        "Response A rightly picks option B, the correct answer.",
        "Both responses name option C.",
        "I like the one on the right.",
        "Answer A picks option B, which is correct; Answer B picks option A.",
        "Output 2 is short.",
        "Answer 2 is short.",
    ],
)
def test_bare_letters_are_noticed(text: str) -> None:
    assert has_bare_mentions(text)


@pytest.mark.parametrize(
    "text",
    [
        "Response A is better. A short answer would do.",
        "Response A would answer a child. A-level maths.",
        "Responses A and B agree; response_a is longer.",
        "A while ago. B-sides. Not plan-B. A by-product of a good answer.",
        "Response A is short and Response B long, and the latter is on the right track.",
        "Subtract 2 on the left side.",
        "Response A has the right answer first, and its second sentence is left out.",
        "",
    ],
)
def test_articles_are_no_mentions(text: str) -> None:
    assert not has_bare_mentions(text)


def test_a_text_is_turned_whole_or_not_at_all() -> None:
    assert turned("Response A is short.") == "Response B is short."
    assert turned("Response A is short, B rambles.") is None
    assert turned(None) is None


@pytest.mark.parametrize(
    "piece",
    ["A", "A ", "Response ", "Response A ", "a b ", "'", "A'", "A\n", " ", "-", "first ", "Responses A and ", "B" * 50],
)
def test_long_texts_take_no_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    start = time.perf_counter()
    assert swap_mentions(swap_mentions(text)) == text
    has_bare_mentions(text)
    assert time.perf_counter() - start < 5
