"""A cell that needs no training: a baseline fitted on the seed and measured on the test set, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_ablate import RUN

from gramr2.config import parse_config
from gramr2.research.ablation import cell as cells
from gramr2.research.ablation.cell import FAILURE, RESULT, SPEC, TEST, main, run_cell

LIMIT = 12


def cell(folder: Path, variant: str, **changes: Any) -> Path:
    """A cell's folder with what it is to do."""
    folder.mkdir()
    spec = {"variant": variant, "kind": "baseline", "shots": 0, "test": "lab:test", "limit": LIMIT, "keep": False}
    config = parse_config(RUN | {"rounds": 0} | changes)
    (folder / SPEC).write_text(json.dumps(spec | {"config": config.model_dump(mode="json")}))
    return folder


@pytest.mark.parametrize("name", ["longer", "bag-of-words"])
def test_a_baseline_is_a_result_like_any_other(name: str, tmp_path: Path) -> None:
    folder = cell(tmp_path / "c", name)
    result = run_cell(folder)
    assert result == json.loads((folder / RESULT).read_text())
    assert (result["variant"], result["n"], result["coverage"], result["order_flip_rate"]) == (name, LIMIT, 1, 0)
    rows = [json.loads(line) for line in (folder / TEST).read_text().splitlines()]
    assert [row["id"] for row in rows] == [item.comparison.id for item in cells.test_set("lab:test", LIMIT)]
    assert result["accuracy"] == sum(row["label"] == row["truth"] for row in rows) / LIMIT
    assert all(row["votes"] == [] and row["rationale"] is None for row in rows)
    # It has labelled nothing and left no run behind.
    assert "kept" not in result
    assert {each.name for each in folder.iterdir()} == {SPEC, TEST, RESULT}
    if name == "longer":
        lengths = [[len(text) for text in row["responses"]] for row in rows]
        assert [row["label"] for row in rows] == ["A" if a > b else "B" if b > a else "tie" for a, b in lengths]


def test_one_that_cannot_learn_leaves_its_sentence(tmp_path: Path) -> None:
    ties = tmp_path / "ties.jsonl"
    rows = [{"id": str(i), "prompt": f"p{i}", "responses": ["one", "two"], "label": "tie"} for i in range(4)]
    ties.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = cell(tmp_path / "c", "bag-of-words", data=RUN["data"] | {"seed": str(ties)})
    assert main(folder) != 0
    assert "ties" in (folder / FAILURE).read_text()
    assert not (folder / RESULT).exists()
