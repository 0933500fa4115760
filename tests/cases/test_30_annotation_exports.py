"""What annotation tools export: votes of several people, whom each question is for, and results that are not understood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gramr2.config.data import Layout
from gramr2.data import load_labeled
from gramr2.errors import DataError

Write = Callable[..., str]


def argilla(**responses: Any) -> dict[str, Any]:
    return {"id": "r1", "fields": {"prompt": "2+2?", "response_a": "4", "response_b": "5"}, "responses": responses}


def votes(*values: Any, status: str = "submitted") -> list[dict[str, Any]]:
    return [{"value": value, "user_id": f"u{i}", "status": status} for i, value in enumerate(values)]


def test_argilla_counts_what_was_submitted(write: Write) -> None:
    row = argilla(
        preference=[*votes("A", "tie", "A"), *votes("B", "B", status="discarded")], rationale=votes("4 is right")
    )
    (item,), _ = load_labeled(write(row))
    assert (item.label, item.rationale, item.comparison.id) == ("A", "4 is right", "r1")
    assert item.target == pytest.approx((2 / 3, 0, 1 / 3))


def test_argilla_with_a_question_of_another_name(write: Write) -> None:
    (item,), _ = load_labeled(write(argilla(which=votes("response_b"))))
    assert item.label == "B"
    mapped = Layout(label_map={"first": "A"})
    (item,), _ = load_labeled(write(argilla(label=votes("first"))), layout=mapped)
    assert item.label == "A"
    with pytest.raises(DataError, match=r"in\.jsonl:1: .*tone"):
        load_labeled(write(argilla(preference=votes("A"), tone=votes("harsh"))))
    with pytest.raises(DataError, match="has no label"):
        load_labeled(write(argilla(preference=votes("A", status="draft"))))


def task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotations = [{"completed_by": i, "result": [each]} for i, each in enumerate(results)]
    return {"id": 1, "data": {"prompt": "2+2?", "answer1": "4", "answer2": "5"}, "annotations": annotations} | more


def test_label_studio(write: Write) -> None:
    left, right = ({"type": "pairwise", "value": {"selected": side}} for side in ("left", "right"))
    reason = {"type": "textarea", "value": {"text": ["It adds up."]}}
    row = task(left, left, right)
    row["annotations"][1]["result"].append(reason)
    row["annotations"].append({"was_cancelled": True, "result": [right]})
    (item,), _ = load_labeled(write(row))
    assert (item.label, item.rationale) == ("A", "It adds up.")
    assert item.target == pytest.approx((2 / 3, 1 / 3, 0))
    choice = {"type": "choices", "value": {"choices": ["same"]}}
    (item,), _ = load_labeled(write(task(choice)), layout=Layout(label_map={"same": "tie"}))
    assert item.label == "tie"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (task({"type": "labels", "value": {"labels": ["x"]}}), "'labels'"),
        (task({"type": "choices", "value": {"choices": ["same"]}}), "label 'same'"),
        (task({"type": "pairwise"}), "type and value"),
        (task(hint="look at the sum"), "hint"),
        (task(), "has no label"),
    ],
)
def test_label_studio_results_that_are_not_understood(row: dict[str, Any], reason: str, write: Write) -> None:
    with pytest.raises(DataError, match=rf"in\.jsonl:1: .*{reason}"):
        load_labeled(write(row))


def test_a_rationale_is_one_of_those_who_gave_the_label(write: Write) -> None:
    said = [*votes("B is right", "A is right"), {"value": "nobody's"}]
    (item,), _ = load_labeled(write(argilla(preference=votes("B", "A", "A"), rationale=said)))
    assert (item.label, item.rationale) == ("A", "A is right")
    (item,), _ = load_labeled(write(argilla(preference=votes("B", "A", "A"), rationale=[said[0], said[2]])))
    assert (item.label, item.rationale) == ("A", None), "a text without a user counts only where all agree"
    (item,), _ = load_labeled(write(argilla(preference=votes("B", "A"), rationale=said)))
    assert (item.label, item.rationale) == ("tie", None)
    sides = [{"type": "choices", "value": {"choices": [side]}} for side in ("right", "left", "left")]
    row = task(*sides)
    row["annotations"][0]["result"].append({"type": "textarea", "value": {"text": ["The right one is right."]}})
    layout = Layout(label_map={"left": "A", "right": "B"})
    (item,), _ = load_labeled(write(row), layout=layout)
    assert (item.label, item.rationale) == ("A", None)
    row["annotations"][2]["result"].append({"type": "textarea", "value": {"text": ["The left", "one is."]}})
    (item,), _ = load_labeled(write(row), layout=layout)
    assert item.rationale == "The left\none is."


def test_columns_are_those_within_the_export(write: Write) -> None:
    row = {"id": 1, "fields": {"q": "2+2?", "one": "4", "two": "5"}, "responses": {"preference": votes("A")}}
    layout = Layout(columns={"prompt": "q", "responses": ["one", "two"]})
    (item,), _ = load_labeled(write(row), layout=layout)
    assert (item.label, item.comparison.responses) == ("A", ("4", "5"))
