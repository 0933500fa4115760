"""Checks what a run in the lab learnt from: are its pseudo-labels true, and are its rationales right?"""

from __future__ import annotations

from collections.abc import Iterable

from gramr2.comparison import Comparison, Message
from gramr2.evaluation.audit import Audit, Row
from gramr2.research.lab.rationales import problem_of, true_label, verify


def audit(rows: Iterable[Row]) -> Audit | None:
    """The lab's auditor: see ``gramr2.evaluation.audit``."""
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
