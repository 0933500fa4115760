"""Accuracy without the items that were found in the training data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import labeled, make
from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import DataError
from gramr2.evaluation.contamination import digest_of_texts
from gramr2.evaluation.leaving_out import LeftOut
from gramr2.evaluation.metrics import evaluate
from gramr2.judging.judge import compare_with
from gramr2.judgment import Decision
from gramr2.loading import load_judge

ITEMS = [labeled(f"c{number}", Label.B if number < 6 else Label.A, a="ab", b="abc") for number in range(10)]


def lines(tmp_path: Path, *rows: object) -> LeftOut:
    file = tmp_path / "found.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return LeftOut.read(file)


def test_both_figures(tmp_path: Path) -> None:
    decisions = compare_with(load_judge("longer").model, [item.comparison for item in ITEMS])
    rows = [{"id": item.comparison.id, "digest": digest_of_texts(item.comparison)} for item in ITEMS[4:8]]
    told = lines(tmp_path, *rows).accuracy(ITEMS, decisions)
    assert (told["left_out"], told["n"], told["decided"], told["accuracy"]) == (4, 6, 6, pytest.approx(4 / 6))
    assert told["low"] < told["accuracy"] < told["high"]
    assert (told["interval"], told["coverage"], told["order_flip_rate"]) == ("wilson", 1.0, 0.0)
    assert told["file"].endswith("found.jsonl")


def test_nothing_or_everything_is_left_out(tmp_path: Path) -> None:
    decisions = compare_with(load_judge("longer").model, [item.comparison for item in ITEMS])
    told = lines(tmp_path).accuracy(ITEMS, decisions)
    assert (told["left_out"], told["n"], told["accuracy"]) == (0, 10, 0.6)
    told = lines(tmp_path, *({"id": item.comparison.id} for item in ITEMS)).accuracy(ITEMS, decisions)
    assert (told["left_out"], told["n"], told["accuracy"], told["low"]) == (10, 0, None, None)


def test_an_item_is_known_by_its_texts_and_not_by_its_id(tmp_path: Path) -> None:
    one = make("1")
    left_out = lines(tmp_path, {"id": "1", "digest": digest_of_texts(one)})
    assert left_out.holds(one.swap())
    assert not left_out.holds(make("1", a="another")), "another benchmark's item may have the same id"
    by_hand = lines(tmp_path, {"id": "1"})
    assert by_hand.holds(make("1", a="another"))
    assert not by_hand.holds(make("2"))


@pytest.mark.parametrize(
    ("text", "why"), [('{"id": 3}', ":1: names no item"), ("[1]", ":1: names no item"), ("{", ":1: is not JSON")]
)
def test_a_line_that_names_no_item(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "found.jsonl"
    file.write_text(f"{text}\n{text}\n")
    with pytest.raises(DataError, match=why):
        LeftOut.read(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        LeftOut.read(tmp_path / "gone.jsonl")


def test_the_label_is_no_part_of_an_item(tmp_path: Path) -> None:
    item = LabeledComparison(make("x"), Label.TIE)
    assert lines(tmp_path, {"digest": digest_of_texts(item.comparison)}).holds(item.comparison)


def test_the_figures_are_those_of_an_evaluation(tmp_path: Path) -> None:
    told = [Decision(f"c{n}", (), Label.B if n < 8 else None, None, None, None, n % 2 == 0, 1.0) for n in range(10)]
    whole = evaluate(ITEMS, told)
    # Eight of ten are decided, and four of those flip; undecided items have no flip to count.
    assert (whole.order_flip_rate, whole.coverage) == (0.5, 0.8)
    assert lines(tmp_path, {"id": "none of them"}).accuracy(ITEMS, told).items() >= whole.headline().items()
    part = lines(tmp_path, {"id": "c9"}, {"id": "c1"}).accuracy(ITEMS, told)
    assert (part["n"], part["decided"], part["order_flip_rate"], part["coverage"]) == (8, 7, 4 / 7, 7 / 8)
