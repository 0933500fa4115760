"""What each cell got right, comparison by comparison, without the rationales in the same file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from gramr2.judging.voting import top_label
from gramr2.judgment import LabelProbabilities, Reading

MARKS = "marks"
"""key of a result that holds its ``Marks``"""


@dataclass(frozen=True, slots=True)
class Marks:
    """The test comparisons in order: their ids, their clusters, and whether each was judged right; an abstention is not right.

    Comparisons in the same cluster are not independent; one without a group is a cluster of its own.
    """

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    right: tuple[bool, ...]


def read_marks(file: Path, reading: str | None = None) -> Marks | None:
    """The marks in a cell's ``test.jsonl``; None if it is missing or has no truth. An unchanged file is read only once.

    Args:
        reading: marks of the labels that this reading gives by itself, instead of the decisions'; None if a row lacks it.
    """
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return _read(file, state.st_mtime_ns, state.st_size, reading)


def singly(result: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """A cell's result for each reading of its verdicts by itself, as the variant NAME:READING; none if there is only one."""
    marks = {each.value: found for each in Reading if (found := read_marks(file, each.value)) is not None}
    return [
        {
            **result,
            "variant": f"{result['variant']}:{reading}",
            "accuracy": fmean(found.right),
            "order_flip_rate": None,
            MARKS: found,
        }
        for reading, found in (marks.items() if len(marks) > 1 else ())
    ]


def comparable(results: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all results have marks, on the same comparisons."""
    found: list[Marks | None] = [each.get(MARKS) for each in results]
    first = found[0] if found else None
    return first is not None and all(each is not None and each.ids == first.ids for each in found)


def _label(row: Mapping[str, Any], reading: str | None) -> str | None:
    if reading is None or row["label"] is None:
        return None if row["label"] is None else str(row["label"])
    found = row["readings"][reading]
    return top_label(LabelProbabilities(found["A"], found["B"], found["tie"])).value


@lru_cache(maxsize=4096)
def _read(file: Path, changed: int, size: int, reading: str | None) -> Marks | None:
    ids: list[str] = []
    clusters: list[str] = []
    right: list[bool] = []
    with file.open(encoding="utf-8") as lines:
        # A line at a time: with its votes a cell's file is large, and there are many cells.
        for line in lines:
            row = json.loads(line)
            if "truth" not in row or (reading and row["label"] and reading not in row.get("readings", {})):
                return None
            # All cells have the same ids, so one copy of each is enough.
            ids.append(sys.intern(row["id"]))
            group = row.get("group")
            clusters.append(sys.intern(f"group {group}" if group is not None else f"alone {row['id']}"))
            right.append(_label(row, reading) == row["truth"])
    return Marks(tuple(ids), tuple(clusters), tuple(right)) if ids else None
