"""Cells of two ablations in one table, paired across them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from compare_ablations import main

from gramr2.files import write_jsonl


def cell(folder: Path, variant: str, seed: int, right: str, first: int = 0) -> None:
    """A finished cell that judges those comparisons right which have a «+»."""
    place = folder / "cells" / f"{variant}-{seed}"
    rows = [{"id": f"c{first + i}", "label": "A" if mark == "+" else "B", "truth": "A"} for i, mark in enumerate(right)]
    write_jsonl(place / "test.jsonl", rows)
    result: dict[str, Any] = {
        "variant": variant,
        "seed": seed,
        "n": len(right),
        "accuracy": right.count("+") / len(right),
    }
    (place / "result.json").write_text(json.dumps(result | {"order_flip_rate": 0.25}))


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    for seed in (1, 2):
        cell(tmp_path / "a", "seed-only", seed, "++------")
        cell(tmp_path / "b", "seed-only", seed, "+++-----")
        cell(tmp_path / "b", "full", seed, "++++++--")
    # One more that is still running.
    (tmp_path / "b/cells/full-3").mkdir()
    return [f"old={tmp_path / 'a'}", f"new={tmp_path / 'b'}", "--out", str(tmp_path / "out")]


def test_table(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "--reference", "old/seed-only"]) == 0
    text = (tmp_path / "out/table.md").read_text()
    assert text in capsys.readouterr().out
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert list(rows)[1:] == ["| old/seed-only", "| new/full", "| new/seed-only"]
    assert "| 2 | 25.0 %" in rows["| old/seed-only"]
    assert "| 2 | 75.0 %" in rows["| new/full"] and "+50.0 (" in rows["| new/full"]
    assert "+12.5 (" in rows["| new/seed-only"]
    assert main([*asked, "--reference", "old/seed-only", "--only", "new/full"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(shown) == 2 and "+50.0 (" in shown[1]


def test_single_readings_and_every_cell(asked: list[str], tmp_path: Path) -> None:
    file = tmp_path / "b/cells/full-1/test.jsonl"
    sides = {"+": {"A": 0.9, "B": 0.1, "tie": 0.0}, "-": {"A": 0.2, "B": 0.8, "tie": 0.0}}
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    both = zip(rows, "++++----", "+++++++-", strict=True)
    write_jsonl(file, [row | {"readings": {"direct": sides[d], "second_view": sides[v]}} for row, d, v in both])
    table = tmp_path / "cells.csv"
    table.write_text(
        "source,configuration,seed,n,accuracy,order_flip_rate,kept\nother,x/full,1,2,0.5,,\n,x/gone,1,2,0.5,,\n"
    )
    assert main([*asked, "--reference", "new/full", "--readings", "--csv", str(table)]) == 0
    first, *found = csv.DictReader(table.open())
    assert (first["source"], first["configuration"]) == ("other", "x/full"), "rows of another source stay"
    assert {row["configuration"]: row["accuracy"] for row in found if row["seed"] == "1"} == {
        "old/seed-only": "0.25",
        "new/seed-only": "0.375",
        "new/full": "0.75",
        "new/full:direct": "0.5",
        "new/full:second_view": "0.875",
    }
    assert "new/full:direct" in (tmp_path / "out/table.md").read_text()


def test_refuses(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(arguments: list[str], sentence: str) -> None:
        assert main(arguments) == 2
        assert sentence in capsys.readouterr().err

    refused([*asked, "--reference", "seed-only"], "'seed-only' is not among the finished configurations: old/seed-only")
    refused(["a", "--reference", "a/b", "--out", "x"], "'a': write NAME=DIR")
    refused([f"a={tmp_path}", "--reference", "a/b", "--out", "x"], "is not an ablation")
    cell(tmp_path / "a", "longer", 1, "++", first=100)
    refused([*asked, "--reference", "old/seed-only"], "not measured on the same comparisons")
    assert not (tmp_path / "out").exists()
