"""Files in the wild: every usual wrapping of the same rows is read, and the others are named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from gramr2.data import OnBadRow, load_labeled
from gramr2.errors import DataError

ROWS = [
    {"id": "b", "prompt": "2+2?", "chosen": "4\u2028four", "rejected": "5, or\n6"},
    {"id": "c", "prompt": "2+3?", "chosen": 'the "5"', "rejected": ""},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CELLS = [["id", "prompt", "chosen", "rejected"], *(list(row.values()) for row in ROWS)]


def table(separator: str) -> bytes:
    quoted = ('"' + cell.replace('"', '""') + '"' for row in CELLS for cell in row)
    flat = list(quoted)
    return "\r\n".join(separator.join(flat[i : i + 4]) for i in range(0, len(flat), 4)).encode()


FILES = {
    "plain.jsonl": LINES.encode(),
    "bare.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode(),
    "UPPER.JSONL": LINES.encode(),
    "bom.jsonl": b"\xef\xbb\xbf" + LINES.encode(),
    "crlf.jsonl": LINES.replace("\n", "\r\n").encode(),
    "utf16.jsonl": LINES.encode("utf-16"),
    "t.ndjson": LINES.encode(),
    "zipped.jsonl": gzip.compress(LINES.encode()),
    "t.jsonl.gz": gzip.compress(LINES.encode()),
    "t.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "array.json": json.dumps(ROWS).encode(),
    "array.jsonl": json.dumps(ROWS).encode(),
    "pretty.jsonl": json.dumps(ROWS, indent=1).encode(),
    "wrapped.json": json.dumps({"data": ROWS}, indent=1).encode(),
    "columns.json": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}).encode(),
    "t.csv": table(","),
    "t.tsv": table("\t"),
    "t.csv.gz": gzip.compress(table(",")),
    "bom.csv": b"\xef\xbb\xbf" + table(","),
    "export.csv.jsonl": LINES.encode(),
    "export.tsv.json": json.dumps(ROWS).encode(),
    "export.csv.jsonl.gz": gzip.compress(LINES.encode()),
    "export.csv.tsv": table("\t"),
    "export.json.csv.gz": gzip.compress(table(",")),
    "v1.csv-like.jsonl": LINES.encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows(name: str, tmp_path: Path) -> None:
    expected = tmp_path / "expected.jsonl"
    expected.write_text(LINES)
    (tmp_path / name).write_bytes(FILES[name])
    assert load_labeled(str(tmp_path / name))[0] == load_labeled(str(expected))[0]


def test_one_row_over_several_lines(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(ROWS[0], indent=1))
    assert [item.comparison.id for item in load_labeled(str(tmp_path / "one.json"))[0]] == ["b"]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    other = [*turns[:1], {"role": "assistant", "content": "No"}]
    (tmp_path / "one.json").write_text(json.dumps({"chosen": turns, "rejected": other}, indent=1))
    assert load_labeled(str(tmp_path / "one.json"))[0][0].comparison.prompt_text == "Hi"


@pytest.mark.parametrize("name", ["one.jsonl", "one.ndjson", "one.jsonl.gz"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n\n"])
def test_one_json_line_is_a_row_though_its_lists_are_equally_long(name: str, end: str, tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}]
    line = (json.dumps({"prompt": turns, "responses": ["Paris", "Lyon"], "label": ["A", "A"]}) + end).encode()
    (tmp_path / name).write_bytes(gzip.compress(line) if name.endswith(".gz") else line)
    (item,), _ = load_labeled(str(tmp_path / name))
    assert item.comparison.responses == ("Paris", "Lyon")
    assert [turn.role for turn in item.comparison.prompt] == ["system", "user"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("t.csv", b"id,prompt,chosen,rejected\n1,p,a,b\n2,p,a\n", r"t\.csv:3: has 3 cells"),
        ("t.csv", b"id,prompt,prompt\n1,p,a\n", r"t\.csv:1: .*first line"),
        ("t.csv", b"p\n" + b"x\n", "needs prompt"),
        ("t.csv", b'prompt,chosen,rejected\n"p,a,b\n', "not a table"),
        ("t.csv", b"prompt,chosen,rejected\np,a,\xff\n", r"t\.csv:2: is not UTF-8"),
        ("t.xlsx", b"", "file extension"),
        ("t.json", b"{\n 'id': 1\n}", r"t\.json:1: is not JSON"),
    ],
)
def test_what_is_no_such_file_is_said(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason):
        load_labeled(str(tmp_path / name))


def test_a_short_row_of_a_table_can_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("prompt,chosen,rejected\np,a,b\np,a\np,c,d\n")
    items, report = load_labeled(str(tmp_path / "t.csv"), on_bad_row=OnBadRow.SKIP)
    assert ([item.comparison.id for item in items], len(report.skipped)) == (["t.csv:1", "t.csv:3"], 1)
