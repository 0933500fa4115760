"""What a run in the lab learnt from, checked: are its pseudo-labels true, and are the reasons it learnt right?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gramr2.comparison import Comparison, Message
from gramr2.lab.rationales import problem_of, true_label, verify

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts over ``n`` labelled rows that have a label.

    ``true_labels`` have the label that the program computes. Of the ``reasoned`` ones, which have a rationale, ``derived``
    work the problem out without a wrong step and ``sound`` contain no mistake at all; ``right`` have a true label, of which
    ``lucky`` have it although a step of their derivation is wrong.
    """

    n: int
    true_labels: int
    reasoned: int
    derived: int
    sound: int
    right: int
    lucky: int

    def shares(self) -> dict[str, float | int | None]:
        """The counts as shares: of all rows, of those with a rationale, or of those with a rationale and a true label."""
        return {
            "n": self.n,
            "label_accuracy": _share(self.true_labels, self.n),
            "derivation_correct": _share(self.derived, self.reasoned),
            "rationale_correct": _share(self.sound, self.reasoned),
            "right_label_wrong_derivation": _share(self.lucky, self.right),
        }


def audit(rows: Iterable[Row]) -> Audit | None:
    """Check rows of ``kept.jsonl``, ``dropped.jsonl`` or ``gold.jsonl``; None where one is not of the lab, or none is there.

    A row without a label (the judge abstained) is left out.
    """
    n = true = reasoned = derived = sound = correct = lucky = 0
    for row in rows:
        comparison = _comparison(row)
        if comparison is None:
            return None
        if row["label"] is None:
            continue
        n += 1
        right = true_label(comparison).value == row["label"]
        true += right
        if row.get("rationale"):
            found = verify(comparison.swap() if row.get("rationale_order") == "ba" else comparison, row["rationale"])
            reasoned += 1
            derived += found.derivation
            sound += found.correct
            correct += right
            lucky += right and not found.derivation
    return Audit(n, true, reasoned, derived, sound, correct, lucky) if n else None


def by_fate(kept: Sequence[Row], dropped: Sequence[Row], filters: Sequence[str]) -> dict[str, Audit]:
    """The audit of what was judged, of what was kept, and of what each filter dropped; empty outside the lab."""
    groups: dict[str, Sequence[Row]] = {"judged": [*kept, *dropped], "kept": kept}
    groups |= {f"dropped by {name}": [row for row in dropped if row["filter"] == name] for name in filters}
    audits = {name: audit(rows) for name, rows in groups.items()}
    return {} if audits["judged"] is None else {name: each for name, each in audits.items() if each is not None}


def _comparison(row: Row) -> Comparison | None:
    if not isinstance(row["prompt"], str):
        return None
    comparison = Comparison(row["id"], (Message("user", row["prompt"]),), tuple(row["responses"]))
    if problem_of(comparison) is None:
        return None
    try:
        true_label(comparison)
    except ValueError:
        return None
    return comparison


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
