"""Curves over labels and unlabelled comparisons: the sizes are what a run really gets, and what is finished is not run again."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from curve_points import Curve, Points, spread
from label_curves import main

from gramr2.config import RunConfig, load_config
from gramr2.data import overlap
from gramr2.reporting import plots
from gramr2.research.ablation import runner
from gramr2.research.ablation.cell import main as run_cell
from gramr2.research.ablation.variants import FULL, Prepared, prepare
from gramr2.selftraining.run.data import load_data


def write(path: Path, name: str, n: int, label: bool = True) -> str:
    file = path / f"{name}.jsonl"
    rows = [
        {"id": f"{name}-{i}", "prompt": f"{name} {i}?", "responses": [f"a fair answer {i}", f"bad {i}"]}
        | ({"label": "AB"[i % 2]} if label else {})
        for i in range(n)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """8 of 40 labels; unlabelled: 10 of 30 others, and 20 of the 40, which hold the 8."""
    labelled = write(tmp_path, "labelled", 40)
    run: dict[str, Any] = {
        "model": "tiny-random",
        "data": {
            "seed": {"path": labelled, "limit": 8},
            "pool": [
                {"path": write(tmp_path, "pool", 30, label=False), "limit": 10},
                {"path": labelled, "limit": 20},
            ],
            "gold": write(tmp_path, "gold", 6),
        },
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "training": {"epochs": 1, "min_steps": 0},
    }
    write(tmp_path, "test", 12)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    return tmp_path / "run.yaml"


def sizes(base: RunConfig, curve: Curve, x: int, seed: int, name: str = FULL) -> tuple[int, list[int]]:
    """Labels, and unlabelled comparisons by source, as the run itself loads them."""
    prepared = prepare(base, Points(base).point(curve, x, name).variant, seed)
    assert isinstance(prepared, Prepared), prepared
    data = load_data(prepared.config)
    known = {name for _, name in overlap([item.comparison for item in data.seed], data.pool)}
    fresh = [each.id.split("-")[0] for each in data.pool if each.id not in known]
    return len(data.seed), [fresh.count("pool"), fresh.count("labelled")]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_labels_change_and_the_unlabelled_stay_while_there_are_some(file: Path, seed: int) -> None:
    base = load_config(file)
    assert sizes(base, Curve.LABELS, 8, seed) == (8, [10, 12])
    assert sizes(base, Curve.LABELS, 3, seed) == (3, [10, 12])
    assert sizes(base, Curve.LABELS, 25, seed) == (25, [10, 12])
    assert sizes(base, Curve.LABELS, 33, seed) == (33, [10, 7])
    assert sizes(base, Curve.LABELS, 40, seed) == (40, [10, 0])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_unlabelled_change_in_proportion_and_the_labels_stay(file: Path, seed: int) -> None:
    base = load_config(file)
    assert sizes(base, Curve.UNLABELLED, 31, seed) == (8, [15, 16])  # of 30 and 32
    assert sizes(base, Curve.UNLABELLED, 62, seed) == (8, [30, 32])


def test_the_runs_own_sizes_are_the_ablations_own_variants_and_too_many_are_a_reason(file: Path) -> None:
    base = load_config(file)
    points = Points(base)
    assert (points.labels, points.unlabelled, points.all_labels) == (8, 22, 40)
    names = [points.point(*place, FULL).variant.name for place in ((Curve.LABELS, 8), (Curve.UNLABELLED, 22))]
    assert names == [FULL, FULL]
    assert points.point(Curve.UNLABELLED, 0, FULL).variant.name == "seed-only"
    assert [(each.curve, each.x, each.name) for each in points.of_cell("seed-only")] == [
        (Curve.LABELS, 8, "seed-only"),
        (Curve.UNLABELLED, 0, FULL),
    ]
    assert [each.x for each in points.of_cell("longer-labels-16")] == [16]
    assert points.of_cell("longer-labels-8") == points.of_cell("nothing-1") == []
    assert prepare(base, points.point(Curve.LABELS, 41, FULL).variant, 1) == "only 40 labelled comparisons are there"
    too_many = prepare(base, points.point(Curve.UNLABELLED, 63, FULL).variant, 1)
    assert too_many == "only 62 unlabelled comparisons are there"


def test_a_warm_up_is_left_out_where_there_is_nothing_unlabelled(file: Path) -> None:
    base = load_config(file).model_copy(update={"warmup": load_config(file).warmup})
    raw = base.model_dump(mode="json") | {"warmup": {}}
    base = RunConfig.model_validate(raw)
    variant = Points(base).point(Curve.UNLABELLED, 0, FULL).variant
    prepared = prepare(base, variant, 1)
    assert isinstance(prepared, Prepared) and variant.name == "full-unlabelled-0"
    assert (prepared.config.warmup, prepared.config.rounds) == (None, 0)


def test_parts_add_up_and_exceed_nothing() -> None:
    rng = random.Random(3)
    for _ in range(300):
        available = [rng.randrange(50) for _ in range(rng.randint(1, 5))]
        total = rng.randint(0, sum(available))
        parts = spread(total, available)
        assert sum(parts) == total
        assert all(part <= most for part, most in zip(parts, available, strict=True))
        assert all(abs(p - total * a / max(sum(available), 1)) < 1 for p, a in zip(parts, available, strict=True))


class Done:
    """A process that has ended."""

    returncode = 0

    def poll(self) -> int:
        return 0


def test_cheap_variants_first_and_the_others_later(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(folder: Path) -> Done:
        started.append(folder.name)
        assert run_cell(folder) == 0
        return Done()

    monkeypatch.setattr(runner, "_start", start)
    monkeypatch.setattr(runner.time, "sleep", lambda _: None)
    out, table = tmp_path / "out", tmp_path / "curves.csv"
    command = [file, "--test", tmp_path / "test.jsonl", "--seeds", 2, "--out", out, "--jobs", 1, "--csv", table]

    def curves(*options: str) -> list[dict[str, str]]:
        started.clear()
        assert main([*map(str, command), *options]) == 0
        return list(csv.DictReader(table.open()))

    rows = curves("--variants", "longer", "--labels", "4,own,41")
    assert started == ["longer-labels-4-1", "longer-1", "longer-labels-4-2", "longer-2"]
    assert [(row["curve"], row["x"], row["variant"], row["seed"]) for row in rows] == [
        ("labels", x, "longer", seed) for x in ("4", "8") for seed in ("1", "2")
    ]
    assert {(row["n"], row["accuracy"], row["order_flip_rate"]) for row in rows} == {("12", "0.5", "0")}
    assert [row["labels"] for row in rows] == ["4", "4", "8", "8"]
    later = curves("--variants", "longer,bag-of-words", "--labels", "own,all")
    fresh = ["longer-labels-40", "bag-of-words", "bag-of-words-labels-40"]
    assert started == [f"{name}-{seed}" for seed in (1, 2) for name in fresh]
    assert [row["x"] for row in later] == ["4", "4", "8", "8", "40", "40", "8", "8", "40", "40"]
    assert [row for row in later if row["x"] != "40" and row["variant"] == "longer"] == rows
    assert curves("--variants", "longer", "--labels", "own") == later and not started
    figure = (out / "label_curves.svg").read_text()
    assert "bag-of-words" in figure and "seed-only" not in figure and "unlabelled comparisons" not in figure
    # The cell of another run file is no point of this one.
    spec = out / "cells/longer-1/cell.json"
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"limit": 3}))
    assert len(curves("--variants", "bag-of-words", "--labels", "own")) == len(later) - 1


def test_a_figure_has_its_own_page_and_a_name_one_colour_in_all_panels() -> None:
    cheap, full = [(16, 0.5, None, None), (64, 0.6, None, None)], [(0, 0.6, 0.5, 0.7), (300, 0.7, 0.6, 0.8)]
    figure = plots.sweep({"labels": {"longer": cheap, "full": full[1:]}, "unlabelled": {"full": full}}, "accuracy, %")
    assert "currentColor" not in figure and "fill: #ffffff" in figure
    assert figure.count("#0072b2") and ">300<" in figure and ">0<" in figure
    assert plots.sweep({"unlabelled": {"full": full}}, "accuracy, %").count(plots.ORANGE) == 0
    assert figure == plots.sweep(
        {"labels": {"longer": cheap, "full": full[1:]}, "unlabelled": {"full": full}}, "accuracy, %"
    )
