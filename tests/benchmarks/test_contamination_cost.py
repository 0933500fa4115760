"""The measurement of what ``gramr2 contamination`` costs."""

from __future__ import annotations

import pytest
from contamination_cost import comparison, main, measure, training


def test_leaked_items_are_found_and_no_others() -> None:
    assert measure(60, 20, 0.0, 0)["found"] == 0
    told = measure(60, 20, 0.5, 0)
    assert 10 <= told["found"] <= 20
    assert told["ms"] > 0


def test_training_data_are_drawn_with_a_seed() -> None:
    import random

    items = [comparison(random.Random(1), "b")]
    one, same, other = (list(training(5, 0.5, items, seed)) for seed in (0, 0, 1))
    assert one == same != other
    assert {each.id for each in one} == {f"t{number}" for number in range(5)}


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--n", "3", "--items", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("| 3 | 0% | ")
