"""Pseudo-labels and rationales compared with the truth, where a program knows it.

A package that knows the truth of some comparisons registers an auditor, a function like ``audit``, by an entry point of
the group ``gramr2.auditors``; the laboratory has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gramr2 import registry

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts over ``n`` rows that have a label.

    ``true_labels`` have the label that the program computes. Of the ``reasoned`` rows, which have a rationale, ``derived``
    solve the problem without a wrong step and ``sound`` contain no mistake at all; ``right`` have a true label, and
    ``lucky`` of these have it although a step of their derivation is wrong.
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


Auditor = Callable[[Iterable[Row]], Audit | None]
"""returns None if it does not know one of the rows"""


def audit(rows: Iterable[Row]) -> Audit | None:
    """Check rows of ``kept.jsonl``, ``dropped.jsonl`` or ``gold.jsonl``; None if no auditor knows the truth of all of them, or
    there are none. A row without a label (the judge abstained) is left out."""
    given = list(rows)
    for each in registry.plugins("auditors").values():
        auditor: Auditor = each.load()
        found = auditor(given)
        if found is not None:
            return found
    return None


def by_fate(kept: Sequence[Row], dropped: Sequence[Row], filters: Sequence[str]) -> dict[str, Audit]:
    """The audit of what was judged, of what was kept, and of what each filter dropped; empty if no auditor knows the truth."""
    groups: dict[str, Sequence[Row]] = {"judged": [*kept, *dropped], "kept": kept}
    groups |= {f"dropped by {name}": [row for row in dropped if row["filter"] == name] for name in filters}
    audits = {name: audit(rows) for name, rows in groups.items()}
    return {} if audits["judged"] is None else {name: each for name, each in audits.items() if each is not None}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
