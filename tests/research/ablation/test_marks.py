"""Marks out of a cell's rows: what is needed of them, read once, and the rest forgotten."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

from gramr2.files import write_jsonl
from gramr2.research.ablation.marks import MARKS, Marks, comparable, read_marks


def row(name: str, label: str | None, truth: str, **extra: Any) -> dict[str, Any]:
    return {
        "id": name,
        "label": label,
        "truth": truth,
        "rationale": "x" * 10_000,
        "votes": [{"rationale": "y" * 10_000}],
    } | extra


def test_an_abstention_is_not_right_and_ids_are_clusters_without_a_group(tmp_path: Path) -> None:
    rows = [row("1", "A", "A", group="g"), row("2", "B", "A", group="g"), row("g", None, "tie"), row("4", "tie", "tie")]
    write_jsonl(tmp_path / "t.jsonl", rows)
    found = read_marks(tmp_path / "t.jsonl")
    assert found is not None
    assert found.ids == ("1", "2", "g", "4")
    assert found.right == (True, False, False, True)
    assert found.clusters[0] == found.clusters[1]
    # An id that is called as a group is not in it.
    assert len(set(found.clusters)) == 3


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    write_jsonl(file, [row("1", "A", "A")])
    first = read_marks(file)
    assert read_marks(file) is first
    write_jsonl(file, [row("1", "A", "A"), row("2", "A", "B")])
    again = read_marks(file)
    assert again is not None and again.right == (True, False)


def test_what_is_missing_is_none(tmp_path: Path) -> None:
    assert read_marks(tmp_path / "none.jsonl") is None
    write_jsonl(tmp_path / "old.jsonl", [{"id": "1", "label": "A"}])
    assert read_marks(tmp_path / "old.jsonl") is None
    write_jsonl(tmp_path / "empty.jsonl", [])
    assert read_marks(tmp_path / "empty.jsonl") is None


def test_rationales_are_not_kept_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    write_jsonl(file, [row(str(i), "A", "A") for i in range(500)])
    assert file.stat().st_size > 10_000_000
    seen = []
    # What threads of earlier tests, and first imports, allocate meanwhile is counted too, but not every time.
    for _ in range(3):
        tracemalloc.start()
        read_marks(file)
        seen.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
    assert min(kept for kept, _ in seen) < 300_000
    assert min(peak for _, peak in seen) < 2_000_000


def test_cells_of_other_comparisons_are_not_comparable() -> None:
    one, other = Marks(("1",), ("1",), (True,)), Marks(("2",), ("2",), (True,))
    assert comparable([{MARKS: one}, {MARKS: one}])
    for lost in (None, other):
        assert not comparable([{MARKS: one}, {MARKS: lost}])
    assert not comparable([{}])
    assert not comparable([])
