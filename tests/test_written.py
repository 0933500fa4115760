"""A text with marks is that text in every respect, and only the marks tell which parts a template wrote."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict

from gramr2.comparison import Message
from gramr2.journal import address
from gramr2.written import Written, joined, own, parts_of

TEXT = joined(own("a"), "b", "", "c", own("d"), own(""), own("e"))
PARTS = (("a", True), ("bc", False), ("de", True))


def test_it_is_the_plain_text() -> None:
    assert TEXT == "abcde" and hash(TEXT) == hash("abcde") and len(TEXT) == 5
    assert json.dumps(TEXT) == '"abcde"' and Message("user", TEXT) == Message("user", "abcde")
    assert address("m", asdict(Message("user", TEXT))) == address("m", asdict(Message("user", "abcde")))


def test_neighbours_of_one_kind_are_one_part() -> None:
    assert TEXT.parts == PARTS
    assert joined(TEXT, own("f"), "g").parts == (*PARTS[:-1], ("def", True), ("g", False))
    assert joined().parts == own("").parts == ()


def test_copies_keep_the_marks() -> None:
    for each in (
        copy.copy(TEXT),
        copy.deepcopy(TEXT),
        pickle.loads(pickle.dumps(TEXT)),
        asdict(Message("user", TEXT))["content"],
    ):
        assert isinstance(each, Written) and each == TEXT and each.parts == PARTS


def test_a_lost_mark_makes_data() -> None:
    for each in (TEXT + "", f"{TEXT}", TEXT.strip("x"), "".join([TEXT])):
        assert all(not ours for _, ours in parts_of(str(each)))
    assert parts_of("x") == (("x", False),)
