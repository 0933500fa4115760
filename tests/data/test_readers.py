"""Reading in detail: base folders, broken files, ids, limits, the ways a hub fails."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, LabeledComparison, Message
from gramr2.data import Loaded, OnBadRow, load, load_labeled, near_duplicates, overlap, subset
from gramr2.data.textfiles import _TWO_LINES, json_lines
from gramr2.errors import DataError

ROW: dict[str, Any] = {"id": "x", "prompt": "p", "responses": ["a", "b"]}


def test_load_keeps_labels_where_they_are_and_starts_at_base(tmp_path: Path) -> None:
    rows = [ROW | {"label": "A"}, ROW | {"id": "y"}]
    (tmp_path / "d.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, rows)).encode())
    loaded = load("d.jsonl", base=tmp_path)
    assert isinstance(loaded, Loaded)
    assert [type(item) for item in loaded.comparisons] == [LabeledComparison, Comparison]
    assert loaded.report.source == "d.jsonl"
    assert load(str(tmp_path / "d.jsonl"), base=Path("/elsewhere")).comparisons == loaded.comparisons


def test_limit_counts_good_rows_and_a_refused_row_leaves_no_ids(tmp_path: Path) -> None:
    rows = [
        ROW | {"id": "q:1-2"},
        ROW | {"id": "q", "responses": ["a", "b", "c"]},
        ROW | {"id": "q:0-1"},
        ROW | {"id": "z"},
    ]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    loaded = load(str(tmp_path / "d.json"), limit=2, on_bad_row=OnBadRow.SKIP)
    assert [c.id for c in loaded.comparisons if isinstance(c, Comparison)] == ["q:1-2", "q:0-1"]
    assert loaded.report.skipped[0].startswith("d.json:2: ")
    assert len(loaded.report.skipped) == 1


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("d.json", b'[{"a": 1},\n{broken]', r"d\.json:2: is not valid JSON"),
        ("d.json", b'[{"a": 1},\n"\xff"]', r"d\.json:2: is not UTF-8"),
        ("d.json", b"[" * 200_000, r"d\.json: is not valid JSON"),
        ("d.jsonl", b"[" * 200_000, r"d\.jsonl:1: is not JSON"),
        ("d.jsonl", b'{"prompt": "\\ud800", "responses": ["a", "b"]}', r"d\.jsonl:1: prompt contains half"),
        ("d.xlsx", b"a,b", "the file extension is not one of"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason):
        load(str(tmp_path / name))


def test_a_damaged_archive(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(b'{"a": 1}\n' * 500))
    data[15:30] = b"x" * 15
    (tmp_path / "d.jsonl.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"d\.jsonl\.gz: cannot be read"):
        load(str(tmp_path / "d.jsonl.gz"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("offline"), "the hub cannot be reached: offline"),
        (FileNotFoundError("gone"), "the hub has no such data set: gone"),
        (KeyError("odd"), "cannot be loaded from the hub: 'odd'"),
    ],
)
def test_hub_failures(monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str) -> None:
    import datasets

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=reason):
        load_labeled("hub:a/b")
    with pytest.raises(DataError, match="not a hub id"):
        load_labeled("/nowhere")


def test_sets() -> None:
    items = [Comparison(name, (Message("user", "p"),), ("a", "b")) for name in "wxyz"]
    assert len(subset(items, 2, 0)) == 2
    assert subset(items, -1, 0) == ()
    assert overlap(items[:2], items[2:3]) == [("w", "y"), ("x", "y")]
    assert near_duplicates({"b": "60 days", "a": "60 days."}, {"c": "60 Days"}) == [("a", "c", 1.0), ("b", "c", 1.0)]


@given(st.text(alphabet="a \n\r\t\x1c\u2028[{", max_size=30))
def test_lines_end_at_a_line_feed_alone(text: str) -> None:
    places = [place for place, _, _ in json_lines(text, "f", "f")]
    assert places == [f"f:{number}" for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    assert (_TWO_LINES.match(text) is not None) == ("\n" in text.strip())


def test_one_long_line_is_looked_through_once() -> None:
    assert _TWO_LINES.match(" " * 300_000 + "a b" * 300_000 + " \n" * 300_000) is None
