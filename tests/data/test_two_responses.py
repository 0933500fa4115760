"""Two responses in two columns: what their label means."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gramr2.comparison import Label, LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow, load, placed, read_row
from gramr2.errors import DataError

COLUMNS = {"prompt": "2+2?", "response_a": "4", "response_b": "5"}


def label(row: dict[str, Any], label_map: dict[Any, str] | None = None) -> Label:
    layout = Layout.model_validate({"label_map": label_map or {}})
    (item,) = read_row(row, "f.jsonl:1", default_id="f:1", layout=layout)
    assert isinstance(item, LabeledComparison)
    return item.label


@pytest.mark.parametrize(
    ("value", "label_map", "expected"),
    [
        ("A", {"A": "B", "B": "A"}, Label.B),
        ("B", {"A": "B", "B": "A"}, Label.A),
        ("Response_A", {"Response_A": "tie"}, Label.TIE),
        # The key has another case than the value, so it says nothing of it.
        ("A", {"a": "B"}, Label.A),
        ("RESPONSE_B", {}, Label.B),
    ],
)
def test_a_label_map_comes_before_the_names_of_the_columns(
    value: str, label_map: dict[str, str], expected: Label
) -> None:
    assert label(COLUMNS | {"label": value}, label_map) is expected


def test_one_half_of_another_pair_is_not_dropped_in_silence() -> None:
    row = {"prompt": "2+2?", "response_a": "four", "answer_a": "4", "answer_b": "5", "label": "A"}
    with pytest.raises(DataError, match="would not see .*response_a"):
        label(row)


NUMBERED = {"prompt": "2+2?", "response_1": "4", "response_2": "5"}


def test_one_and_two_are_the_columns_of_that_number() -> None:
    assert [label(NUMBERED | {"label": value}) for value in (1, "2", 1.0)] == [Label.A, Label.B, Label.A]
    assert label(NUMBERED | {"label": 1}, {0: "tie"}) is Label.A
    zero = {"prompt": "2+2?", "response_0": "4", "response_1": "5"}
    assert [label(zero | {"label": value}) for value in (0, 1)] == [Label.A, Label.B]


def test_a_file_with_zero_and_one_is_not_read_by_half(write) -> None:
    file = write(*(NUMBERED | {"label": value} for value in (1, 1, 0, 1)))
    told = r"in\.jsonl:3: label 0 where .* response_1 and response_2: .* label_map"
    for policy in OnBadRow:
        with pytest.raises(DataError, match=told):
            load(file, on_bad_row=policy)
        with pytest.raises(DataError, match=told):
            list(placed(file, on_bad_row=policy))
    with pytest.raises(DataError, match="label 1 where"):
        load(file, layout=Layout.model_validate({"label_map": {0: "A"}}), on_bad_row=OnBadRow.SKIP)
    found = load(file, layout=Layout.model_validate({"label_map": {0: "A", 1: "B"}})).comparisons
    assert [item.label for item in found if isinstance(item, LabeledComparison)] == ["B", "B", "A", "B"]


def test_yes_and_no_without_quotes_are_named() -> None:
    plain, quoted = (yaml.safe_load(text) for text in ("{yes: A, no: B}", '{"yes": A, "no": B}'))
    for value in ("yes", "No"):
        with pytest.raises(DataError, match=f"label '{value}' is (true|false) in the label_map: .* put them in quotes"):
            label(COLUMNS | {"label": value}, plain)
    assert label(COLUMNS | {"label": "no"}, quoted) is Label.B
    assert label(COLUMNS | {"label": False}, plain) is Label.B, "files have these values too"
