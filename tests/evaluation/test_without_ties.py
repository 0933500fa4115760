"""Judges compared as if they could not say tie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import summary_of
from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.errors import ConfigError
from gramr2.evaluation.compare import compare
from gramr2.evaluation.log import Item, Log, item_of
from gramr2.evaluation.ranked import RankedSet
from gramr2.evaluation.without_ties import accuracy_without_ties, without_ties
from gramr2.judgment import Decision, LabelProbabilities
from gramr2.reporting.comparison import as_html, as_markdown

RIGHT, WRONG = (0.3, 0.1, 0.6), (0.1, 0.3, 0.6)
NOWHERE = (0.0, 0.0, 1.0)


def item(number: int, label: str | None, belief: tuple[float, float, float] | None, expected: str = "A") -> Item:
    """An item, and what a judge says of it."""
    one = Comparison(f"i{number}", as_messages(str(number)), ("a", "b"))
    probabilities = LabelProbabilities(*belief) if belief else None
    said = Label(label) if label else None
    decision = Decision(one.id, (), said, probabilities, 1.0 if label else None, None, False, 1.0)
    return item_of(LabeledComparison(one, Label(expected)), decision)


def log(name: str, items: list[Item]) -> Log:
    return Log(Path(name), summary_of(name, {"n": len(items)}), tuple(items))


def test_a_tie_goes_to_the_likelier_response_and_nothing_else_changes() -> None:
    items = [
        item(0, "tie", RIGHT),
        item(1, "tie", WRONG),
        item(2, "tie", NOWHERE),
        item(3, "tie", None),
        item(4, None, None),
        item(5, "A", (0.5, 0.5, 0.0)),  # rounded: the judge did prefer one
        item(6, "B", (0.2, 0.8, 0.0)),
        item(7, "tie", NOWHERE, expected="tie"),
    ]
    found = without_ties(items)
    assert [(each.label, each.right) for each in found] == [
        ("A", True),
        ("B", False),
        ("tie", False),
        ("tie", False),
        (None, None),
        ("A", True),
        ("B", False),
    ]
    assert {each.order_flip for each in found} == {None}
    measured = accuracy_without_ties(items)
    assert (measured.n, measured.decided, measured.accuracy) == (7, 6, 2 / 6)
    assert accuracy_without_ties(items[-1:]).accuracy is None


def test_a_model_that_leans_the_right_way_is_better_than_one_that_is_surely_wrong() -> None:
    truth = "A" * 38 + "BB"
    sure = log("sure", [item(i, "A" if i < 20 else "B", None, expected) for i, expected in enumerate(truth)])
    careful = log("careful", [item(i, "tie", RIGHT, expected) for i, expected in enumerate(truth)])
    with_ties, without = (compare([sure, careful], ties=ties) for ties in (True, False))
    assert {each.name: each.strict for each in with_ties.standings} == {"sure": 22 / 40, "careful": 0}
    assert {each.name: each.strict for each in without.standings} == {"sure": 22 / 40, "careful": 38 / 40}
    assert {each.order_flip_rate for each in without.standings} == {None}
    assert (without.benchmark, without.tied) == (f"{with_ties.benchmark}, without ties", 0)


def test_what_is_left_out_and_what_stays_wrong_is_said() -> None:
    one = log(
        "one", [item(0, "tie", NOWHERE), item(1, "tie", None), item(2, "A", None), item(3, "tie", NOWHERE, "tie")]
    )
    two = log("two", [item(0, "A", None), item(1, "B", None), item(2, "tie", RIGHT), item(3, "A", None, "tie")])
    found = compare([one, two], ties=False)
    assert (found.n, found.tied, found.level) == (3, 1, {"one": 2, "two": 0})
    for text in (as_markdown(found), as_html(found)):
        assert "left out as labelled ties: 1" in text
        assert "it gave no probabilities: 2" in text
        assert "two: " not in text
    assert "labelled ties" not in as_markdown(compare([one, two]))


def test_where_nothing_has_a_better_response_the_flag_is_refused() -> None:
    ties = [log(name, [item(0, "tie", RIGHT, "tie")]) for name in ("one", "two")]
    with pytest.raises(ConfigError, match="no item with a better response in common: leave out --no-ties"):
        compare(ties, ties=False)
    ranked = RankedSet(
        id="s", prompt="p", responses=("a", "b"), chosen=(0,), scores=(1.0, 0.0), ranks=(1, 2), games=(), score=1.0
    )
    sets = [replace(log(name, []), sets=(ranked,)) for name in ("one", "two")]
    with pytest.raises(ConfigError, match="no item with a better response"):
        compare(sets, ties=False)
    both = [replace(log(name, [item(0, "A", None)]), sets=(ranked,)) for name in ("one", "two")]
    found = compare(both, ties=False)
    assert found.sets is not None
    assert "without ties" not in found.sets.benchmark
