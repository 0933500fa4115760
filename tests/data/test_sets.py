"""Responses to rank or to score: which rows count, what their ids are, and what a report says of the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gramr2.comparison import Message
from gramr2.data import LoadReport, OnBadRow, load_responses, load_sets
from gramr2.errors import DataError

Write = Callable[..., str]
SET = {"prompt": "p", "responses": ["a", "b"]}
BAD = {"prompt": "p", "responses": ["a", 1]}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*rows: Any) -> str:
        (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(tmp_path / "d.jsonl")

    return write


def test_a_set_keeps_its_turns_and_texts_and_has_its_own_id_or_its_place(write: Write) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    said = {"role": "assistant", "content": " yes "}
    items, report = load_sets(
        write({"id": 7, "prompt": turns, "responses": ["no", [said], [*turns, said]]}, SET | {"id": None}, SET)
    )
    assert items[0].prompt == (Message("system", "Be brief."), Message("user", "Hi"))
    assert items[0].responses == ("no", " yes ", " yes ")
    assert [item.id for item in items] == ["7", "d.jsonl:2", "d.jsonl:3"]
    assert (report.rows, report.kept, report.skipped) == (3, 3, ())


def test_a_row_to_score_has_one_response_or_several(write: Write) -> None:
    rows = [
        {"id": "one", "prompt": "p", "response": "c"},
        SET | {"id": "many", "response": None, "reference": "q"},
        {
            "id": "all",
            "prompt": "p",
            "response": "d",
            "references": [[{"role": "assistant", "content": "q"}], "q", "o"],
        },
    ]
    items, report = load_responses(write(*rows))
    assert [(item.id, item.response, item.references) for item in items] == [
        ("one", "c", ()),
        ("many:0", "a", ("q",)),
        ("many:1", "b", ("q",)),
        ("all", "d", ("q", "o")),
    ]
    assert (report.rows, report.kept) == (3, 4)


def test_a_limit_ends_the_reading_and_cuts_within_a_row(write: Write) -> None:
    source = write(SET | {"id": "x"}, SET | {"id": "y"}, BAD)
    items, report = load_responses(source, limit=3)
    assert [item.id for item in items] == ["x:0", "x:1", "y:0"]
    assert report == LoadReport(source, 2, 3, ())
    assert len(load_sets(source, limit=2)[0]) == 2
    with pytest.raises(DataError, match=r"d\.jsonl:3: responses\[1\]"):
        load_sets(source, limit=3)


def test_skipped_rows_do_not_count_towards_a_limit_and_are_told_in_order(write: Write) -> None:
    source = write([1], SET | {"id": "x"}, SET | {"id": "x"}, BAD, SET | {"id": "few", "responses": ["a"]}, SET, SET)
    items, report = load_sets(source, limit=2, on_bad_row=OnBadRow.SKIP)
    assert [item.id for item in items] == ["x", "d.jsonl:6"]
    assert (report.rows, report.kept) == (6, 2)
    words = ["not a JSON object", "'x' .* second time", "responses.1. must be a text", "not 1"]
    assert len(report.skipped) == len(words)
    for reason, line, said in zip(report.skipped, (1, 3, 4, 5), words, strict=True):
        with pytest.raises(DataError, match=rf"d\.jsonl:{line}: .*{said}"):
            raise DataError(reason)


def test_an_id_that_is_there_again_is_refused_whole(write: Write) -> None:
    """Of a row that shares one id with an earlier one, none of the items is taken, and its other ids stay free."""
    rows = [
        {"id": "x:1", "prompt": "p", "response": "c"},
        SET | {"id": "x"},
        {"id": "x:0", "prompt": "p", "response": "d"},
    ]
    with pytest.raises(DataError, match=r"d\.jsonl:2: .*'x:1'.* second time"):
        load_responses(write(*rows))
    items, report = load_responses(write(*rows), on_bad_row=OnBadRow.SKIP)
    assert [(item.id, item.response) for item in items] == [("x:1", "c"), ("x:0", "d")]
    assert len(report.skipped) == 1


@pytest.mark.parametrize("load", [load_sets, load_responses])
def test_a_source_without_a_usable_row_is_an_error_with_the_first_reason(load: Any, write: Write) -> None:
    with pytest.raises(DataError, match=r"no usable row in 2.*d\.jsonl:1: responses\[1\] must be a text"):
        load(write(BAD, [1]), on_bad_row=OnBadRow.SKIP)
    with pytest.raises(DataError, match="no usable row in 0 rows$"):
        load(write())


def test_a_line_that_is_no_json_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"prompt": \n' + json.dumps(SET))
    with pytest.raises(DataError, match=r"d\.jsonl:1: is not JSON"):
        load_sets("d.jsonl", base=tmp_path)
    items, report = load_sets("d.jsonl", base=tmp_path, on_bad_row=OnBadRow.SKIP)
    assert ([item.id for item in items], report.source, len(report.skipped)) == (["d.jsonl:2"], "d.jsonl", 1)


def test_64_responses_are_the_most_that_are_ranked_and_any_number_is_scored(write: Write) -> None:
    source = write(SET | {"responses": [str(i) for i in range(64)]}, SET | {"id": "many", "responses": ["x"] * 65})
    assert len(load_sets(source, limit=1)[0][0].responses) == 64
    with pytest.raises(DataError, match=r"d\.jsonl:2: .*64 responses, not 65"):
        load_sets(source)
    assert len(load_responses(source)[0]) == 129


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"response": "r", "other": 1}, "no prompt; .*response, other"),
        ({"prompt": "p", "response": 1}, "response must be a text"),
        ({"prompt": "p", "text": "r"}, "responses must be a list.*prompt, text"),
        ({"prompt": "p", "responses": "ab"}, "responses must be a list"),
        ({"prompt": "p", "response": "r", "references": "q"}, "references must be a list"),
        ({"prompt": "p", "response": "r", "references": ["q", 1]}, r"references\[1\]"),
        ({"prompt": "p", "response": "r", "id": True}, "id must be a text"),
    ],
)
def test_a_row_to_score_is_refused(row: dict[str, Any], reason: str, write: Write) -> None:
    with pytest.raises(DataError, match=rf"d\.jsonl:1: .*{reason}"):
        load_responses(write(row))
