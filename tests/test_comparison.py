"""Swapping is an involution on everything it touches, and touches only what it should."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Order

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


def test_shown_and_prompt_text() -> None:
    comparison = make(a="x", b="y")
    assert comparison.shown(Order.AB) is comparison
    assert comparison.shown(Order.BA).responses == ("y", "x")
    chat = Comparison("i", (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Sum")), ("a", "b"))
    assert chat.prompt_text == "User: Hi\n\nAssistant: Yes?\n\nUser: Sum"
