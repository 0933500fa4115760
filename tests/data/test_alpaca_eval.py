"""AlpacaEval's columns, and common tables that have the same outputs."""

from __future__ import annotations

from typing import Any

import pytest

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import read_row
from gramr2.errors import DataError

COLUMNS: dict[str, Any] = {"instruction": "2+2?", "output_1": "5", "output_2": "4"}


def read(row: dict[str, Any], **label_map: str) -> LabeledComparison | Comparison:
    layout = Layout.model_validate({"label_map": label_map})
    (item,) = read_row(row, "f.jsonl:1", default_id="f:1", layout=layout)
    return item


@pytest.mark.parametrize(
    ("labels", "label_map", "expected"),
    [
        ({"label": "B"}, {}, Label.B),
        ({"winner": 2}, {}, Label.B),
        ({"winner": "output_1"}, {}, Label.A),
        ({"preference": "output_2"}, {}, Label.B),
        ({"preference": "tie"}, {}, Label.TIE),
        ({"preference": 1}, {"1": "B"}, Label.B),
        ({"preference": 1.2}, {}, Label.A),
        ({"preference": "2"}, {}, Label.B),
    ],
)
def test_labels_beside_two_outputs(labels: dict[str, Any], label_map: dict[str, str], expected: Label) -> None:
    item = read(COLUMNS | labels, **label_map)
    assert isinstance(item, LabeledComparison)
    assert (item.label, item.comparison.responses, item.comparison.prompt_text) == (expected, ("5", "4"), "2+2?")


def test_a_preference_that_is_null_has_no_label() -> None:
    assert isinstance(read(COLUMNS | {"preference": None, "generator_1": "m1"}), Comparison)


def test_a_preference_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="preference 7"):
        read(COLUMNS | {"preference": 7})
