"""Means, paired differences and the share of the way, against figures worked out by hand."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gramr2.ablation.runner import BASE_BYTES, COPIES, jobs_that_fit
from gramr2.ablation.statistics import mean, share_of_the_way, summarise
from gramr2.ablation.tables import COLUMNS, account, write_tables
from gramr2.ablation.variants import Variant

RESULTS = [
    {"variant": name, "seed": seed, "n": 100, "accuracy": value, "coverage": 1.0, "order_flip_rate": 0.1, "seconds": 1}
    for name, values in (("full", (0.8, 0.9, 0.85)), ("seed-only", (0.6, 0.7, 0.65)), ("oracle", (0.9, 0.9, 0.9)))
    for seed, value in enumerate(values, 1)
]


def test_a_mean_has_the_t_interval() -> None:
    found = mean([1.0, 2.0, 3.0])  # s = 1, t(0.975, 2) = 4.303
    assert (found.value, found.n) == (2.0, 3)
    assert found.low == pytest.approx(2 - 4.303 / 3**0.5, abs=1e-3)
    assert found.high == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)
    assert mean([1.0]).low is None


def test_an_interval_of_shares_stays_between_nothing_and_all() -> None:
    spread = [{**RESULTS[0], "seed": seed, "accuracy": value} for seed, value in enumerate((0.4, 1.0))]
    (found,) = summarise(spread, "full")
    assert (found.accuracy.low, found.accuracy.high) == (0.0, 1.0)
    assert mean([0.4, 1.0]).high > 1.0


def test_differences_are_paired_by_seed() -> None:
    full, seed_only, oracle = summarise(RESULTS, "full")
    assert full.difference is None
    assert seed_only.difference is not None
    assert seed_only.difference.value == pytest.approx(-0.2)
    assert seed_only.difference.low == pytest.approx(seed_only.difference.high)  # the same gap in each seed
    assert oracle.difference is not None
    assert oracle.difference.value == pytest.approx(0.05)


def test_only_seeds_that_both_have_are_compared() -> None:
    results = [*RESULTS, {**RESULTS[3], "seed": 9, "accuracy": 0.0}]
    seed_only = summarise(results, "full")[1]
    assert seed_only.difference is not None
    assert (seed_only.accuracy.n, seed_only.difference.n) == (4, 3)


def test_few_seeds_have_the_interval_over_comparisons() -> None:
    # Full is right on 3 of 4 with each seed, seed-only on the same two: the difference per comparison is 0, 0, -1/2, -1/2.
    marks = {("full", 1): "1110", ("full", 2): "1101", ("seed-only", 1): "1100", ("seed-only", 2): "1100"}
    results = [
        {"variant": name, "seed": seed, "accuracy": text.count("1") / 4, "correct": [mark == "1" for mark in text]}
        for (name, seed), text in marks.items()
    ]
    full, seed_only = summarise(results, "full")
    assert (full.accuracy.value, full.accuracy.n) == (0.75, 2)
    assert (full.accuracy.low, full.accuracy.high) == (pytest.approx(0.75 - 3.182 * 0.289 / 2, abs=1e-3), 1.0)
    assert seed_only.difference is not None
    assert seed_only.difference.value == -0.25
    assert seed_only.difference.low == pytest.approx(-0.25 - 3.182 * 0.289 / 2, abs=1e-3)
    # With a third seed the seeds speak.
    third = [{**each, "seed": 3, "accuracy": each["accuracy"]} for each in results if each["seed"] == 1]
    assert summarise([*results, *third], "full")[1].difference == mean([-0.25] * 3)


def test_the_share_of_the_way() -> None:
    value, low, high = share_of_the_way([0.6, 0.7, 0.65], [0.8, 0.9, 0.85], [0.9, 0.9, 0.9]) or (0, 0, 0)
    assert value == pytest.approx(0.2 / 0.25)
    assert low <= value <= high
    assert share_of_the_way([0.5], [0.6], [0.5]) is None
    assert share_of_the_way([], [], []) is None


@pytest.mark.parametrize(("weights", "cores", "memory", "jobs"), [(0, 2, 1 << 40, 2), (0, 8, 0, 1), (1 << 30, 8, 0, 1)])
def test_jobs(weights: int, cores: int, memory: int, jobs: int) -> None:
    assert jobs_that_fit(weights, cores, memory) == jobs
    assert jobs_that_fit(1 << 30, 8, 3 * (BASE_BYTES + (COPIES << 30))) == 3


def test_tables_hold_every_cell_and_every_summary(tmp_path: Path) -> None:
    variants = [Variant(name, f"what {name} <means>", lambda raw: None) for name in ("full", "seed-only", "oracle")]
    told = account("Title & more", summarise(RESULTS, "full"), variants, RESULTS, ["a note"], "gramr2 ablate")
    paths = {path.suffix: path.read_text() for path in write_tables(tmp_path, told, RESULTS)}
    rows = list(csv.DictReader(io.StringIO(paths[".csv"])))
    assert [row["variant"] for row in rows] == [each["variant"] for each in RESULTS]
    assert list(rows[0]) == list(COLUMNS)
    assert float(rows[3]["accuracy"]) == 0.6
    assert "| seed-only | 3 | 65.0 % (52.6 to 77.4) | -20.0 (-20.0 to -20.0)" in paths[".md"]
    assert "goes 80% of the way" in paths[".md"]
    assert "gramr2 ablate: n = 100 test comparisons" in paths[".md"]
    page = paths[".html"]
    assert "what full &lt;means&gt;" in page
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert tags.count("svg") == 2
    assert tags.count("tr") == 1 + 3
