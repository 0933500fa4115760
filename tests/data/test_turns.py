"""Texts and turns out of raw values: taken as they are, cut without loss, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2.comparison import Message
from gramr2.data.turns import (
    BadRowError,
    implicit_prompt,
    read_answer,
    read_prompt,
    read_references,
    read_text,
    shown,
)


def say(role: Any, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


USER, REPLY, MORE = say("user", "Hi"), say("assistant", "Hello"), say("user", "And?")
PROMPT = (Message("user", "Hi"),)


@settings(max_examples=50)
@given(st.text(st.sampled_from("a \n\t\u3000\u200bé😀\ud83d\ude00"), max_size=4))
def test_a_text_is_itself_or_refused(text: str) -> None:
    fine = text.strip() != "" and not any(0xD800 <= ord(character) <= 0xDFFF for character in text)
    try:
        assert read_text(text, "it") == text
    except BadRowError as error:
        assert str(error).startswith("it ")
        assert not fine
    else:
        assert fine


def test_a_prompt_is_one_turn_or_all_of_its_turns() -> None:
    assert read_prompt(" Hi\n") == (Message("user", " Hi\n"),)
    turns = [say("system", "Be brief."), USER, REPLY, MORE]
    expected = tuple(Message(turn["role"], turn["content"]) for turn in turns)
    assert read_prompt(turns) == read_prompt(tuple(turns)) == expected
    assert read_prompt([USER | {"name": "Ann"}]) == PROMPT


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "prompt must be .* non-empty list"),
        (b"Hi", "prompt must be .* not bytes"),
        (None, "prompt must be .* not NoneType"),
        (USER, "prompt must be .* not dict"),
        ([USER, "Hi"], r"prompt\[1\] must be a message"),
        ([say("robot", "Hi")], r"prompt\[0\] .*'robot'"),
        ([say(["user"], "Hi")], r"prompt\[0\] .*type list"),
        ([USER, {"role": "assistant"}], r"prompt\[1\]\.content .* not NoneType"),
        ([say("user", " ")], r"prompt\[0\]\.content is empty"),
    ],
)
def test_a_prompt_is_refused(value: object, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        read_prompt(value)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (" yes ", " yes "),
        ([REPLY], "Hello"),
        ([REPLY, say("assistant", " again")], "Hello\n\n again"),
        ([USER, REPLY], "Hello"),
    ],
)
def test_an_answer_with_or_without_the_prompt_before_it(value: object, answer: str) -> None:
    assert read_answer(value, "chosen", PROMPT) == answer


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([USER], "chosen has no answer"),
        ([MORE, REPLY], "chosen .*'user'"),
        ([USER, REPLY, MORE], "chosen .*'user'"),
        ([USER, USER, REPLY], "chosen .*'user'"),
    ],
)
def test_an_answer_is_assistant_turns_alone(value: object, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        read_answer(value, "chosen", PROMPT)


@pytest.mark.parametrize(
    ("chosen", "rejected", "turns", "answers"),
    [
        ([USER, REPLY, MORE, say("assistant", "x")], [USER, REPLY, MORE, say("assistant", "y")], 3, ("x", "y")),
        ([USER, REPLY], [USER, REPLY, say("assistant", "y")], 1, ("Hello", "Hello\n\ny")),
        ([USER, REPLY, say("assistant", "x")], [USER, REPLY, say("assistant", "y")], 2, ("x", "y")),
        ([USER, REPLY, MORE, REPLY], [USER, REPLY], 1, ("Hello\n\nUser: And?\n\nAssistant: Hello", "Hello")),
    ],
)
def test_the_turns_that_two_conversations_begin_with_are_the_prompt(
    chosen: list[Any], rejected: list[Any], turns: int, answers: tuple[str, str]
) -> None:
    assert implicit_prompt(chosen, rejected) == (read_prompt(chosen[:turns]), *answers)
    assert implicit_prompt(rejected, chosen) == (read_prompt(chosen[:turns]), *answers[::-1])


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ([say("system", "x"), USER, REPLY], [USER, REPLY], "do not begin with the same"),
        ([USER, REPLY, MORE], [USER, REPLY, MORE, REPLY], "chosen ends with .*'user'"),
        ([REPLY], [REPLY], "do not begin with the same"),
        ([USER, REPLY], "Hi", "both be texts"),
        ("", "Hi", "no common beginning"),
        (" \nHi", " \nHo", "no common beginning"),
        ("\n\nHuman: Hi\n\nHuman: \n\nAssistant: x", "\n\nHuman: Hi\n\nHuman: \n\nAssistant: y", "prompt.1.*empty"),
        ("\n\nAssistant: x", "\n\nAssistant: y", "no common beginning"),
    ],
)
def test_no_prompt_can_be_found(chosen: object, rejected: object, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        implicit_prompt(chosen, rejected)


words = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4)
gap = st.sampled_from([" ", "\n", "  ", "\t"])


@settings(max_examples=50)
@given(words, gap, words, words)
def test_a_plain_text_is_cut_where_the_first_different_word_begins(
    start: list[str], gap: str, one: list[str], two: list[str]
) -> None:
    prompt = gap.join(start) + gap
    # The differing words begin with the same letter, which belongs to the answers.
    chosen, rejected = "cx" + gap.join(one), "cy" + gap.join(two)
    expected = ((Message("user", prompt),), chosen, rejected)
    assert implicit_prompt(prompt + chosen, prompt + rejected) == expected


def test_a_dialogue_is_cut_at_the_turn_and_not_within_the_answers() -> None:
    start = "\n\nHuman: Hi\n\nAssistant:Hello\n\nHuman: And?\n\nAssistant: The sky is "
    turns, chosen, rejected = implicit_prompt(start + "blue", start + "red")
    assert turns == (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And?"))
    assert (chosen, rejected) == ("The sky is blue", "The sky is red")
    # Of the white space after the mark one space belongs to it, and a question that differs is no end of the prompt.
    start, end = "\n\nHuman: Hi\n\nAssistant:  Yes\n\nHuman: ", "\n\nAssistant: c"
    answers = (" Yes\n\nUser: a\n\nAssistant: c", " Yes\n\nUser: b\n\nAssistant: c")
    assert implicit_prompt(start + "a" + end, start + "b" + end) == (PROMPT, *answers)
    # A later turn of one answer is no common mark, and a text before the first mark is no turn of its own.
    later = implicit_prompt("Note\n\nHuman: Hi\n\nAssistant: a\n\nAssistant: b", "Note\n\nHuman: Hi\n\nAssistant: c")
    assert later == ((Message("user", "Note\n\nHuman: Hi"),), "a\n\nAssistant: b", "c")


def read(value: object, name: str) -> str:
    return f"{name}={read_text(value, name)}"


@pytest.mark.parametrize(
    ("one", "several", "found"),
    [
        (None, None, ()),
        (None, [], ()),
        ("q", None, ("reference=q",)),
        ("q", [], ("reference=q",)),
        (None, ("q", "o"), ("references[0]=q", "references[1]=o")),
    ],
)
def test_references_are_one_or_several(one: object, several: object, found: tuple[str, ...]) -> None:
    assert read_references(one, several, read) == found


def test_a_reference_that_stands_there_twice_counts_once_and_64_are_the_most() -> None:
    texts = [str(i) for i in range(64)]
    assert read_references(None, texts, read_text) == tuple(texts)
    assert read_references(None, ["b", "a", "b"], read_text) == ("b", "a")
    with pytest.raises(BadRowError, match="65 references"):
        read_references(None, [*texts, "0"], read_text)


@pytest.mark.parametrize(
    ("one", "several", "reason"),
    [
        ("q", ["o"], "both reference and references"),
        (None, "q", "references must be a list .*'q'"),
        (None, {"q": 1}, "references must be a list .* dict"),
        (None, ["q", 3], r"references\[1\] .* not int"),
        ("", None, "reference is empty"),
    ],
)
def test_references_are_refused(one: object, several: object, reason: str) -> None:
    with pytest.raises(BadRowError, match=reason):
        read_references(one, several, read_text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (7, "7"),
        (None, "None"),
        (0.5, "0.5"),
        pytest.param(10**5000, "of type int", id="a long number"),
        pytest.param(-(10**5000), "of type int", id="a long negative number"),
        (["x" * 99], "of type list"),
        ("x" * 99, "'" + "x" * 49),
    ],
)
def test_a_refused_value_is_shown_and_never_long(value: object, text: str) -> None:
    assert shown(value) == text
