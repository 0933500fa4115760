"""Preference rows in detail: whose turn is an answer, where an implicit prompt ends, which side chosen is on."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gramr2.comparison import Label, LabeledComparison
from gramr2.data import read_row
from gramr2.errors import DataError

USER = {"role": "user", "content": "Hi"}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def read(row: dict[str, Any]) -> LabeledComparison:
    (item,) = read_row(row, "f.jsonl:7", default_id="f:7")
    assert isinstance(item, LabeledComparison)
    return item


def answers(item: LabeledComparison) -> tuple[str, str]:
    """(chosen, rejected)."""
    return (item if item.label is Label.A else item.swap()).comparison.responses


def test_turns_of_a_text_dialogue() -> None:
    start = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: "
    item = read({"chosen": f"{start} good\n", "rejected": f"{start}bad"})
    assert [(t.role, t.content) for t in item.comparison.prompt] == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert answers(item) == (" good\n", "bad")


def test_nothing_is_lost_at_the_cut_of_a_plain_text() -> None:
    item = read({"chosen": "The sky\tis  blue ", "rejected": "The sky\tis  red"})
    assert (item.comparison.prompt_text, answers(item)) == ("The sky\tis  ", ("blue ", "red"))


def test_a_conversation_may_repeat_its_prompt() -> None:
    item = read({"prompt": "Hi", "chosen": [USER, assistant("good")], "rejected": [USER, assistant("bad")]})
    assert answers(item) == ("good", "bad")


def test_the_same_answer_twice_is_an_answer() -> None:
    item = read({"chosen": [USER, assistant("x")], "rejected": [USER, assistant("x")]})
    assert (item.comparison.prompt_text, item.comparison.responses) == ("Hi", ("x", "x"))


def test_null_columns_count_as_absent() -> None:
    (item,) = read_row(
        {"chosen": None, "rejected": None, "prompt": "p", "responses": ["a", "b"]}, "f:1", default_id="f:1"
    )
    assert not isinstance(item, LabeledComparison)


def test_the_side_is_the_first_bit_of_the_hash_of_the_id() -> None:
    for i in range(20):
        item = read({"id": f"id{i}", "prompt": "p", "chosen": "good", "rejected": "bad"})
        bit = hashlib.blake2b(f"id{i}".encode()).digest()[0] >> 7
        assert item.label is (Label.B if bit else Label.A)
        assert answers(item) == ("good", "bad")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"prompt": "p", "chosen": [USER], "rejected": [USER]},
            "the answer in chosen begins with a turn of the role 'user'",
        ),
        ({"prompt": "p", "chosen": "a", "rejected": True}, "rejected must be a text, not bool"),
        ({"prompt": "p", "chosen": "a"}, "the columns here are prompt, chosen"),
        ({"chosen": "a b", "rejected": [USER]}, "both be texts or both be lists"),
        ({"\ud800": 1}, r"the columns here are \\ud800"),
        ({"prompt": "p", "responses": ["a", "b"], "label": 1}, "is not A, B or tie"),
        ({"prompt": "p", "responses": ["a", "b"], "category": 3}, "category must be a text, not int"),
        ({"prompt": "p", "responses": ["a", "b"], "id": True}, "id must be a text, not bool"),
    ],
)
def test_refused(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=rf"^f\.jsonl:7: .*{reason}"):
        read(row)
