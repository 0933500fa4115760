"""Files, saved and hub data sets; bad rows are reported with their place, or counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gramr2.comparison import LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow, load_labeled, load_unlabeled, placed
from gramr2.errors import DataError

ROWS = [{"id": f"r{i}", "prompt": f"p{i}", "responses": ["a", "b"], "label": "A"} for i in range(4)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def test_the_same_rows_from_every_kind_of_file(tmp_path: Path) -> None:
    import datasets
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "d.jsonl").write_text(TEXT + "\n\n")
    (tmp_path / "d.json").write_text(json.dumps(ROWS))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(TEXT.encode()))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "d.parquet")
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(str(tmp_path / "splits"))
    loaded = [
        load_labeled(str(tmp_path / name))[0]
        for name in ("d.jsonl", "d.json", "d.jsonl.gz", "d.parquet", "saved", "splits")
    ]
    assert all(items == loaded[0] for items in loaded)
    assert len(loaded[0]) == 4
    with pytest.raises(DataError, match="no split 'test', it has train"):
        load_labeled(str(tmp_path / "splits"), split="test")


def test_bad_rows_fail_with_file_and_line_or_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    lines = [
        json.dumps(ROWS[0]),
        "{broken",
        "[1]",
        json.dumps(ROWS[0]),
        json.dumps(ROWS[1] | {"label": None}),
        json.dumps(ROWS[2]),
    ]
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"d\.jsonl:2: is not JSON"):
        load_labeled(str(file))
    items, report = load_labeled(str(file), on_bad_row=OnBadRow.SKIP)
    assert [item.comparison.id for item in items] == ["r0", "r2"]
    assert [reason.split(": ")[0].split(":")[-1] for reason in report.skipped] == ["2", "3", "4", "5", "7"]
    assert (report.rows, report.kept) == (7, 2)
    assert "a second time" in report.skipped[2]
    assert "has no label" in report.skipped[3]


def test_limit_and_labels_dropped(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(TEXT)
    items, _ = load_unlabeled(str(tmp_path / "d.jsonl"), limit=2)
    assert [c.id for c in items] == ["r0", "r1"]
    assert not any(isinstance(c, LabeledComparison) for c in items)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere.jsonl", "no such file"),
        ("nowhere", "not a hub id"),
        ("starter:silver", "labeled, unlabeled, gold"),
    ],
)
def test_sources_that_are_not_there(source: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load_labeled(source)


def test_files_that_are_not_what_they_say(tmp_path: Path) -> None:
    for name in ("d.parquet", "d.jsonl.gz", "d.json"):
        (tmp_path / name).write_text("[nonsense")
        with pytest.raises(DataError, match=name):
            load_labeled(str(tmp_path / name))
    (tmp_path / "e.jsonl").write_text("")
    with pytest.raises(DataError, match="no usable comparison"):
        load_labeled(str(tmp_path / "e.jsonl"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="not a folder that datasets saved"):
        load_labeled(str(tmp_path / "folder"))


def test_hub_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[Any] = []

    def load(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
        asked.append((name, config, split))
        if name == "a/missing":
            raise ConnectionError("offline")
        return ROWS

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert len(load_labeled("hub:a/b@c", split="test")[0]) == 4
    assert asked == [("a/b", "c", "test")]
    with pytest.raises(
        DataError, match=r"^a/missing: no such file or folder here, and the hub cannot be reached: offline"
    ):
        load_labeled("a/missing")


def test_rows_one_at_a_time_have_their_places(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    several = {"prompt": "p", "chosen": ["a", "b"], "rejected": ["c"]}
    file.write_text(
        "\n".join([json.dumps(ROWS[0]), "{broken", json.dumps(ROWS[0] | {"label": None}), json.dumps(several)])
    )
    rows = placed(str(file))
    assert next(rows)[0] == f"{file}:1", "nothing is read before it is asked for"
    with pytest.raises(DataError, match=r"d\.jsonl:2: is not JSON"):
        next(rows)
    skipped: list[str] = []
    found = list(placed(str(file), on_bad_row=OnBadRow.SKIP, skipped=skipped))
    assert [(where.rpartition(":")[2], each.id.split(":")[0]) for where, each in found][:2] == [
        ("1", "r0"),
        ("3", "r0"),
    ]
    assert {where for where, _ in found[2:]} == {f"{file}:4"}
    assert len(found) == 4
    assert [reason.split(": ")[0] for reason in skipped] == [f"{file}:2"]
    file.write_text("[1]\n[2]\n")
    with pytest.raises(DataError, match=r"d\.jsonl: no usable comparison in it"):
        list(placed(str(file), on_bad_row=OnBadRow.SKIP))
    with pytest.raises(DataError, match="no such file"):
        list(placed(str(tmp_path / "gone.jsonl")))


def test_rows_with_a_label_can_be_left_out(write) -> None:
    file, layout = write(*ROWS[:3], ROWS[3] | {"label": None}), Layout(only_unlabeled=True)
    items, report = load_unlabeled(file, layout=layout, limit=2)
    assert [item.id for item in items] == ["r3"]
    assert (report.rows, report.kept, report.skipped) == (4, 1, ())
    assert [item.id for _, item in placed(file, layout=layout)] == ["r3"]
    with pytest.raises(DataError, match="only_unlabeled leaves them out: remove it"):
        load_labeled(file, layout=layout)
