"""Formats are narrowed down by the columns of a row; that changes what it costs, and not what is recognised."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.data import read_row
from gramr2.data.fields import Fields
from gramr2.data.formats.base import DataSet, Row
from gramr2.data.rows import candidates, formats

NAMES = sorted(
    {name for each in formats() for name in each.needs} | {"response_a", "response_b", "preference", "label", "score"}
)
VALUES = st.sampled_from([None, float("nan"), "", "text", 1, ["a", "b"], [{"role": "user", "content": "Hi"}]])


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_no_format_that_recognises_a_row_is_left_out(row: dict[str, Any]) -> None:
    fields = Fields(row)
    recognised = [each for each in formats() if each.recognises(fields)]
    assert [each for each in candidates(fields.present()) if each.recognises(fields)] == recognised


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "responses": ["a", "b"], "label": "A"},
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        {"prompt": "p", "response_a": "a", "response_b": "b", "label": "A"},
    ],
)
def test_a_row_of_common_columns_is_not_shown_to_every_data_set(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[DataSet] = []
    original = DataSet.recognises

    def counted(self: DataSet, row: Row) -> bool:
        asked.append(self)
        return original(self, row)

    monkeypatch.setattr(DataSet, "recognises", counted)
    assert len(read_row(row, "f:1", default_id="f:1")) == 1
    assert asked == []


def test_a_column_that_was_asked_for_and_is_not_there_is_no_error() -> None:
    fields = Fields({"a": "text", "b": float("nan")})
    assert (fields.get("a"), fields.get("b", 1), fields.get("c"), fields.get("c", 2)) == ("text", None, None, 2)
    assert fields.present() == {"a"}
    assert fields.unused() == []
