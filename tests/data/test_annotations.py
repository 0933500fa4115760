"""Rows of several annotators as one comparison with several labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data import load_labeled
from gramr2.data.annotations import annotated
from gramr2.errors import DataError

A, B, TIE = Label.A, Label.B, Label.TIE


def row(name: str, label: Label, who: str | None, item: str = "x", *, turned: bool = False) -> LabeledComparison:
    """A row of the comparison ``item``; ``label`` is for the order in which it is first shown."""
    comparison = replace(Comparison.of(f"Prompt {item}", f"first {item}", f"second {item}"), id=name)
    whole = LabeledComparison(comparison, label, annotator=who)
    return whole.swap() if turned else whole


def test_a_comparison_is_one_item_with_the_majority_s_label() -> None:
    rows = [row("1", B, "p", turned=True), row("2", A, "q"), row("3", B, "r"), row("4", TIE, "p", "y")]
    found = annotated(rows)
    one, other = found.items
    # The first row shows the responses the other way round, and speaks for all.
    assert (one.comparison, one.label, one.annotator) == (rows[0].comparison, A, None)
    assert found.labels == {"1": {"p": A, "q": B, "r": A}, "4": {"p": TIE}}
    assert other == rows[3]
    assert found.notes == ()


def test_where_no_label_has_most_it_is_a_tie() -> None:
    (one,) = annotated([row("1", A, "p"), row("2", B, "q")]).items
    assert one.label is TIE


def test_an_annotator_counts_once_and_a_nameless_row_not_beside_others() -> None:
    found = annotated([row("0", B, None), row("1", A, "p"), row("2", B, "p"), row("3", A, "q")])
    (one,) = found.items
    assert (one.comparison.id, one.label, found.labels) == ("1", A, {"1": {"p": A, "q": A}})
    assert (found.repeats, found.unnamed, found.nameless) == (1, 1, 0)
    assert [note[:6] for note in found.notes] == ["1 rows", "1 rows"]


def test_rows_without_names_stay_what_they_are() -> None:
    rows = [row("1", A, None), row("2", B, None), row("3", A, None, "y")]
    found = annotated(rows)
    assert found.items == tuple(rows)
    assert (found.labels, found.nameless) == ({}, 1)
    assert "column annotator" in found.notes[0]


def test_items_keep_the_order_of_the_file() -> None:
    rows = [row("1", A, "p"), row("2", A, None, "z"), row("3", B, "p", "y"), row("4", A, "q"), row("5", B, None, "z")]
    assert [item.comparison.id for item in annotated(rows).items] == ["1", "2", "3", "5"]


def written(path: Path, *rows: dict[str, object]) -> str:
    file = path / "people.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return str(file)


def test_annotators_may_share_the_id_of_their_comparison(tmp_path: Path) -> None:
    one = {"id": "q1", "prompt": "p", "responses": ["a", "b"], "label": "A", "annotator": "ann"}
    turned = one | {"responses": ["b", "a"], "label": "B", "annotator": "bea"}
    items, _ = load_labeled(written(tmp_path, one, turned))
    assert [(item.comparison.id, item.annotator) for item in items] == [("q1", "ann"), ("q1/bea", "bea")]
    assert annotated(items).labels == {"q1": {"ann": A, "bea": A}}
    for other in (one | {"annotator": "bea", "responses": ["a", "c"]}, one | {"annotator": None}):
        with pytest.raises(DataError, match="the id 'q1' occurs a second time"):
            load_labeled(written(tmp_path, one, other))
    # The same annotator twice under one id is a mistake in the file.
    with pytest.raises(DataError, match="the annotator 'ann' has a second row of 'q1'"):
        load_labeled(written(tmp_path, one, one))
    with pytest.raises(DataError, match="the id 'q1/bea', which this row of 'q1' would get, is another row's"):
        load_labeled(written(tmp_path, one, one | {"id": "q1/bea"}, turned))
    with pytest.raises(DataError, match="the annotator 'bea' has a second row of 'q1'"):
        load_labeled(written(tmp_path, one, turned, turned))
