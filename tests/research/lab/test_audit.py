"""The audit counts what is true in rows of a run folder."""

from __future__ import annotations

from typing import Any

from gramr2.evaluation.audit import audit, by_fate
from gramr2.research.lab.comparisons import Part, draw

ITEMS = [item for item in draw(Part.GOLD)[:60] if item.label == "A"][:4]


def row(index: int, **changes: Any) -> dict[str, Any]:
    item = ITEMS[index]
    base = {
        "id": item.comparison.id,
        "prompt": item.comparison.prompt_text,
        "responses": list(item.comparison.responses),
        "label": "A",
        "rationale": item.rationale,
    }
    return base | changes


def wrong_step(index: int) -> str:
    text = ITEMS[index].rationale or ""
    place = text.index(", so ") - 1
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


def test_labels_derivations_and_luck() -> None:
    rows = [row(0), row(1, rationale=wrong_step(1)), row(2, label="B"), row(3, rationale=None), row(3, label=None)]
    found = audit(rows)
    assert found is not None
    assert (found.n, found.true_labels) == (4, 3)
    assert (found.reasoned, found.derived, found.sound, found.right, found.lucky) == (3, 2, 2, 2, 1)
    shares = found.shares()
    assert (shares["label_accuracy"], shares["rationale_correct"]) == (0.75, 2 / 3)
    assert shares["right_label_wrong_derivation"] == 0.5


def test_a_rationale_for_the_exchanged_order() -> None:
    swapped = ITEMS[0].swap().rationale
    assert audit([row(0, rationale=swapped, rationale_order="ba")]).sound == 1  # type: ignore[union-attr]
    assert audit([row(0, rationale=swapped)]).sound == 0  # type: ignore[union-attr]


def test_outside_the_lab_nothing_is_audited() -> None:
    assert audit([row(0), row(1, prompt="Which is nicer?")]) is None
    assert audit([row(0, responses=["x", "y"])]) is None
    assert audit([]) is None
    assert by_fate([row(0, prompt="Which is nicer?")], [], ()) == {}


def test_groups_by_what_became_of_them() -> None:
    found = by_fate([row(0)], [row(1, label="B", filter="confidence")], ("confidence",))
    assert {name: (each.n, each.true_labels) for name, each in found.items()} == {
        "judged": (2, 1),
        "kept": (1, 1),
        "dropped by confidence": (1, 0),
    }
