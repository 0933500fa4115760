"""The optional columns of a row, one by one, and what the built-in formats make of sets of responses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.data import Layout
from gramr2.data import read_row
from gramr2.data.formats.base import (
    comparison_of,
    optional,
    read_id,
    read_label,
    read_target,
    shown_columns,
    shown_names,
)
from gramr2.data.turns import BadRowError
from gramr2.errors import DataError

PROMPT = (Message("user", "p"),)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" B", " B"),
        ("0", "0"),
        (0, "0"),
        (-12, "-12"),
        (10**18, "1" + "0" * 18),
        (None, "f:7"),
        ("", "f:7"),
        (3.0, "3"),
    ],
)
def test_an_id_is_a_text_a_number_or_the_default(value: object, text: str) -> None:
    assert read_id({"id": value}, "f:7") == text


@pytest.mark.parametrize("value", [False, 1.5, " ", ["x"], "\ud800"])
def test_other_ids_are_refused(value: object) -> None:
    with pytest.raises(BadRowError, match="^id "):
        read_id({"id": value}, "f:7")


def test_an_empty_column_is_absent_and_a_blank_one_is_not() -> None:
    assert [optional(row, "source") for row in ({}, {"source": None}, {"source": ""}, {"source": "s "})] == [
        None, None, None, "s ",
    ]  # fmt: skip
    for value in (" ", 0, False, []):
        with pytest.raises(BadRowError, match="^source "):
            optional({"source": value}, "source")


def test_a_comparison_has_what_the_row_says_of_it() -> None:
    row = {"category": "math", "source": "exam", "group": "g"}
    expected = Comparison("x", PROMPT, ("a", "b"), category="math", source="exam", group="g")
    assert comparison_of(row, "x", PROMPT, "a", "b") == expected
    assert comparison_of(row, "x", PROMPT, "a", "b", group="other") == expected
    assert comparison_of({"group": ""}, "x", PROMPT, "a", "b", "other").group == "other"
    assert comparison_of({}, "x", PROMPT, "a", "b") == Comparison("x", PROMPT, ("a", "b"))


@pytest.mark.parametrize(
    ("value", "label"),
    [("A", Label.A), (" b\n", Label.B), ("tie", Label.TIE), ("TIE ", Label.TIE), (None, None), ("", None)],
)
def test_a_label_in_any_case(value: object, label: Label | None) -> None:
    assert read_label(value) is label


@pytest.mark.parametrize("value", ["AB", "draw", 0, True, ["A"], Label])
def test_other_labels_are_refused(value: object) -> None:
    with pytest.raises(BadRowError, match="^label .*not A, B or tie"):
        read_label(value)


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ([1, 0, 0], (1.0, 0.0, 0.0)),
        ((0.25, 0.5, 0.25), (0.25, 0.5, 0.25)),
        ([0.333, 0.333, 0.3335], (0.333, 0.333, 0.3335)),
        (None, None),
        ("0.5 0.5 0", None),
    ],
)
def test_a_target_is_three_shares_of_a_whole(value: object, target: tuple[float, float, float] | None) -> None:
    found = read_target(value)
    assert found == target
    assert found is None or {type(share) for share in found} == {float}


@pytest.mark.parametrize(
    "value",
    [
        [0.333, 0.333, 0.333 - 2e-3],
        [0.5, 0.5, 2e-3],
        [0.5, 0.5, 0, 0],
        [0.5, 0.5, 0, None],
        [1.0],
        [],
        [1.2, -0.2, 0.0],
        [float("inf"), 0, 0],
        b"abc",
        1,
        {"A": 1},
    ],
)
def test_other_targets_are_refused(value: object) -> None:
    with pytest.raises(BadRowError, match="^target .*three probabilities"):
        read_target(value)


@settings(max_examples=50)
@given(st.dictionaries(st.text(st.sampled_from("aé\n😀\ud800"), max_size=60), st.none() | st.just(1), max_size=8))
def test_columns_are_shown_in_a_message_that_can_be_printed(row: dict[str, Any]) -> None:
    shown = shown_columns(row)
    shown.encode("utf-8")
    # A character that UTF-8 cannot hold is shown by six.
    assert len(shown) <= len("the columns here are ") + 6 * 200


def test_columns_that_are_null_are_not_shown() -> None:
    assert shown_columns({"a": 1, "b": None, "c": 0, "d": ""}).endswith(" are a, c, d")
    assert shown_columns({"b": None}).endswith(" none")
    assert len(shown_names(["x" * 150, "y" * 150])) == 200


def ids_and_pairs(count: int) -> list[tuple[str, tuple[str, str]]]:
    texts = [str(i) for i in range(count)]
    items = read_row({"id": "q", "prompt": "p", "responses": texts}, "f:1", default_id="f:1")
    assert all(isinstance(item, Comparison) and item.group == "q" for item in items)
    return [(item.id, item.responses) for item in items if isinstance(item, Comparison)]


def test_up_to_six_responses_are_compared_each_with_each_and_more_with_their_neighbours() -> None:
    six = ids_and_pairs(6)
    assert six == [(f"q:{i}-{j}", (str(i), str(j))) for i in range(6) for j in range(i + 1, 6)]
    assert ids_and_pairs(7) == [(f"q:{i}-{i + 1}", (str(i), str(i + 1))) for i in range(6)]


def test_the_better_of_two_neighbours_is_not_always_the_first() -> None:
    ranks, texts = [3, 1, 2, 7, 6, 5, 4], [str(i) for i in range(7)]
    rows = [{"id": f"q{n}", "prompt": "p", "responses": texts, "ranking": ranks} for n in range(20)]
    items = [item for row in rows for item in read_row(row, "f:1", default_id="f:1")]
    labels = [item.label for item in items if isinstance(item, LabeledComparison)]
    assert len(labels) == 120
    assert 40 <= labels.count(Label.A) <= 80
    for item in items:
        assert isinstance(item, LabeledComparison)
        first, second = map(int, item.comparison.responses)
        assert item.label is (Label.A if ranks[first] < ranks[second] else Label.B)
        assert item.comparison.id.endswith(f":{first}-{second}")


def test_a_group_of_its_own_stays_the_group_of_all_pairs() -> None:
    row = {"id": "q", "prompt": "p", "responses": ["1", "2", "3"], "group": "g", "category": "c"}
    items = read_row(row, "f:1", default_id="f:1")
    assert [(item.group, item.category) for item in items if isinstance(item, Comparison)] == [("g", "c")] * 3


def test_a_row_of_two_formats_is_read_as_preferences_once_the_rest_is_ignored() -> None:
    row = {"id": "q", "prompt": "p", "chosen": "good", "rejected": "bad", "responses": ["a", "b"], "label": "B"}
    with pytest.raises(DataError, match="responses, label: .* ignore"):
        read_row(row, "f:1", default_id="f:1")
    (item,) = read_row(row, "f:1", default_id="f:1", layout=Layout(ignore=["responses", "label"]))
    assert isinstance(item, LabeledComparison)
    assert set(item.comparison.responses) == {"good", "bad"}
