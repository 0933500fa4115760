"""What pandas writes: NaN for nothing, 1.0 for 1."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gramr2.data import load_labeled
from gramr2.errors import DataError

ROW = {"prompt": "p", "chosen": "a", "rejected": "b"}


def test_nan_is_nothing_and_a_whole_number_is_a_name(write: Callable[..., str]) -> None:
    nan = float("nan")
    file = write(
        ROW | {"id": 1.0, "category": nan, "group": 17, "system": nan, "note": nan}, ROW | {"id": 2.0, "group": 3.0}
    )
    items, _ = load_labeled(file)
    assert [(item.comparison.id, item.comparison.category, item.comparison.group) for item in items] == [
        ("1", None, "17"),
        ("2", None, "3"),
    ]


def test_nan_is_no_answer(write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match="columns here are prompt, chosen"):
        load_labeled(write(ROW | {"rejected": float("nan")}))


def test_numbers_that_are_equal_are_one_id(write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match="'1' occurs a second time"):
        load_labeled(write(ROW | {"id": 1}, ROW | {"id": "1"}))
