"""Every convention of the ecosystem, and one reason for every row that is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.data import Layout
from gramr2.data import read_row
from gramr2.errors import DataError
from gramr2.judging.records import labeled_row

CHAT = [{"role": "user", "content": "Hi"}]
LABELED: dict[str, Any] = {"prompt": "p", "responses": ["a", "b"], "label": "A"}


def read(row: dict[str, Any]) -> list[LabeledComparison | Comparison]:
    return read_row(row, "f.jsonl:7", default_id="f:7")


def winner(item: LabeledComparison | Comparison) -> str:
    assert isinstance(item, LabeledComparison)
    assert item.label is not Label.TIE
    return item.comparison.responses[0 if item.label is Label.A else 1]


def test_our_own_columns() -> None:
    (item,) = read({"id": "x", "prompt": "p", "responses": ["a", "b"], "label": "B", "rationale": "r", "group": "g"})
    assert isinstance(item, LabeledComparison)
    assert (item.label, item.rationale, item.comparison.id, item.comparison.group) == (Label.B, "r", "x", "g")
    (tie,) = read({"prompt": CHAT, "responses": ["a", "b"], "label": "TIE"})
    assert isinstance(tie, LabeledComparison)
    assert (tie.label, tie.comparison.id) == (Label.TIE, "f:7")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "chosen": "good", "rejected": "bad"},
        {
            "prompt": CHAT,
            "chosen": [{"role": "assistant", "content": "good"}],
            "rejected": [{"role": "assistant", "content": "bad"}],
        },
        {
            "chosen": [*CHAT, {"role": "assistant", "content": "good"}],
            "rejected": [*CHAT, {"role": "assistant", "content": "bad"}],
        },
        {"chosen": "\n\nHuman: Hi\n\nAssistant: good", "rejected": "\n\nHuman: Hi\n\nAssistant: bad"},
        {"chosen": "The sky is good", "rejected": "The sky is bad"},
    ],
)
def test_preference_columns(row: dict[str, Any]) -> None:
    (item,) = read(row)
    assert winner(item) == "good"


def test_how_sure_a_label_is_turns_with_the_responses() -> None:
    (item,) = read({**LABELED, "target": [0.7, 0.2, 0.1]})
    assert isinstance(item, LabeledComparison)
    assert item.target == (0.7, 0.2, 0.1)
    assert (item.swap().label, item.swap().target) == (Label.B, (0.2, 0.7, 0.1))
    assert item.swap().swap() == item
    assert (
        read(LABELED)
        == read({**LABELED, "target": None})
        == read({**LABELED, "target": "a text"})
        == [replace(item, target=None)]
    )
    # Without a label there is nothing to be sure of.
    assert isinstance(read({"prompt": "p", "responses": ["a", "b"], "target": [1, 0, 0]})[0], Comparison)


mass = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda each: sum(each) > 0.01)


@given(mass, st.sampled_from(Label))
def test_a_target_is_written_and_read_back_in_both_orders(drawn: tuple[float, float, float], label: Label) -> None:
    a, b, tie = (share / sum(drawn) for share in drawn)
    item = LabeledComparison(Comparison("x", (Message("user", "p"),), ("a", "b")), label, "r", (a, b, tie))
    for each in (item, item.swap()):
        assert read(labeled_row(each)) == [each]


def test_chosen_is_first_in_about_half_of_the_rows() -> None:
    items = [read({"id": str(i), "prompt": "p", "chosen": "good", "rejected": "bad"})[0] for i in range(400)]
    first = sum(isinstance(item, LabeledComparison) and item.label is Label.A for item in items)
    assert 160 <= first <= 240


def test_more_than_two_unlabelled_responses() -> None:
    pairs = read({"id": "q", "prompt": "p", "responses": ["1", "2", "3"]})
    assert [p.id for p in pairs if isinstance(p, Comparison)] == ["q:0-1", "q:0-2", "q:1-2"]
    assert {p.group for p in pairs if isinstance(p, Comparison)} == {"q"}
    assert len(read({"prompt": "p", "responses": list("abcdefgh")})) == 7


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "p"}, "the columns here are question"),
        ({"prompt": "p", "responses": ["a"]}, "two or more"),
        ({"prompt": "p", "responses": "ab"}, "two or more"),
        ({"prompt": "p", "responses": ["a", 2]}, r"responses\[1\] must be a text, not int"),
        ({"prompt": "", "responses": ["a", "b"]}, "prompt is empty"),
        ({"responses": ["a", "b"]}, "no prompt"),
        ({"prompt": "p", "responses": ["a", "b"], "label": "C"}, "label 'C' is not A, B or tie"),
        ({"prompt": "p", "responses": ["a", "b", "c"], "label": "A"}, "exactly two responses"),
        ({"prompt": [{"role": "robot", "content": "x"}], "responses": ["a", "b"]}, "the role 'robot'"),
        ({"prompt": "p", "responses": ["a", "\ud800"]}, "surrogate"),
        (
            {**LABELED, "target": [0.5, 0.6, 0.1]},
            r"target \[0.5, 0.6, 0.1\] is not three probabilities, of A, B and tie",
        ),
        ({**LABELED, "target": [0.5, 0.5]}, r"target \[0.5, 0.5\] is not three"),
        ({**LABELED, "target": [1.5, -0.5, 0]}, r"target \[1.5, -0.5, 0\] is not three"),
        ({**LABELED, "target": ["1", "0", "0"]}, "is not three probabilities"),
        ({**LABELED, "target": [float("nan"), 0.5, 0.5]}, "is not three probabilities"),
        ({**LABELED, "target": [[1], 0.0, 0.0]}, r"target \[of type list, 0.0, 0.0\] is not three"),
        ({**LABELED, "target": {"A": 1, "B": 0, "tie": 0}}, "is not three probabilities"),
        ({**LABELED, "target": [10**5000, 0, 0]}, r"target \[of type int, 0, 0\] is not three"),
        ({**LABELED, "target": 0.7}, "target 0.7 is not three probabilities"),
        ({"chosen": "good", "rejected": "bad"}, "no common beginning"),
        ({"chosen": CHAT, "rejected": CHAT}, "no common beginning"),
    ],
)
def test_bad_rows_name_place_and_reason(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(DataError, match=rf"^f\.jsonl:7: .*{reason}"):
        read(row)


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["A", "user", "p"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["role", "content", "x"]), inner)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    ["prompt", "responses", "label", "chosen", "rejected", "id", "rationale", "group", "target", "other"]
)


@given(st.dictionaries(names, values))
def test_any_row_is_comparisons_or_one_error(row: dict[str, Any]) -> None:
    try:
        items = read(row)
    except DataError as error:
        assert str(error).startswith("f.jsonl:7: ")
    else:
        assert items


def test_the_advice_on_an_unknown_field_of_a_message_is_a_whole_sentence() -> None:
    message = {"role": "user", "content": "Hi", "mood": "gloomy"}
    with pytest.raises(DataError, match=r"mood, which the judge would not see.* name it in ignore$"):
        read({"prompt": [message], "responses": ["a", "b"]})


def test_a_label_of_too_many_digits_is_a_bad_row() -> None:
    row = {"prompt": "q", "responses": ["a", "b"], "label": 10**5000}
    for layout in (None, Layout(label_map={"1": "A"}), Layout(label_map={"1": "A"}, margin=1)):
        with pytest.raises(DataError, match="label .* is not A, B or tie"):
            read_row(row, "here", default_id="1", layout=layout)
