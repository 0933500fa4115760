"""Swapping is an involution on everything it touches, and touches only what it should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import (
    Comparison,
    Label,
    LabeledComparison,
    Message,
    Order,
    has_bare_mentions,
    swap_mentions,
    turned,
)

words = st.sampled_from(
    ["Response A", "response b", "Assistant B", "Responses A and B", "A", "B", "is", "a", "\n", "Argument A", "x"]
)
texts = st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(" ".join))


@given(texts, texts, st.sampled_from(list(Label)), st.one_of(st.none(), texts))
def test_swap_twice_is_nothing(a: str, b: str, label: Label, rationale: str | None) -> None:
    item = LabeledComparison(make(a=a, b=b), label, rationale)
    assert item.swap().swap() == item
    assert item.swap().comparison.responses == (b, a)


@given(st.sampled_from(list(Label)))
def test_the_label_follows_its_response(label: Label) -> None:
    item = LabeledComparison(make(a="first", b="second"), label)
    winner = {Label.A: "first", Label.B: "second", Label.TIE: None}[label]
    swapped = item.swap()
    where = {Label.A: swapped.comparison.responses[0], Label.B: swapped.comparison.responses[1], Label.TIE: None}
    assert where[swapped.label] == winner


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
        "The one on the right is short.",
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
        "Response A has the right answer first, and its second sentence is left out.",
        "",
    ],
)
def test_articles_are_no_mentions(text: str) -> None:
    assert not has_bare_mentions(text)


def test_shown_and_prompt_text() -> None:
    comparison = make(a="x", b="y")
    assert comparison.shown(Order.AB) is comparison
    assert comparison.shown(Order.BA).responses == ("y", "x")
    chat = Comparison("i", (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Sum")), ("a", "b"))
    assert chat.prompt_text == "User: Hi\n\nAssistant: Yes?\n\nUser: Sum"


def test_a_text_is_turned_whole_or_not_at_all() -> None:
    assert turned("Response A is short.") == "Response B is short."
    assert turned("Response A is short, B rambles.") is None
    assert turned(None) is None
