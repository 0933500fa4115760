"""Means, paired differences and the share of the way, against figures worked out by hand."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean

import pytest

from gramr2.evaluation.metrics import wilson
from gramr2.research.ablation.marks import Marks
from gramr2.research.ablation.resampling import two_way
from gramr2.research.ablation.runner import BASE_BYTES, COPIES, jobs_that_fit
from gramr2.research.ablation.statistics import Mean, discordant_share, mean, share_of_the_way, summarise
from gramr2.research.ablation.tables import COLUMNS, account, html, markdown, write_tables
from gramr2.research.ablation.variants import Variant

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


def marked(name: str, seed: int, right: str, clusters: str | None = None) -> dict[str, object]:
    """A result whose judge was right where a «1» stands."""
    ids = tuple(str(i) for i in range(len(right)))
    marks = Marks(ids, tuple(clusters) if clusters else ids, tuple(each == "1" for each in right))
    return {"variant": name, "seed": seed, "n": len(right), "accuracy": fmean(marks.right), "marks": marks}


def test_where_cells_say_what_they_got_right_comparisons_are_resampled_too() -> None:
    marks = {
        ("full", 1): "1110" * 9,
        ("full", 2): "1101" * 9,
        ("seed-only", 1): "1100" * 9,
        ("seed-only", 2): "1100" * 9,
    }
    results = [marked(name, seed, text) for (name, seed), text in marks.items()]
    full, seed_only = summarise(results, "full")
    assert (full.accuracy.value, full.accuracy.n, full.accuracy.p_value) == (0.75, 2, None)
    assert full.accuracy.low is not None and full.accuracy.high is not None
    assert 0.5 < full.accuracy.low < 0.7 < 0.8 < full.accuracy.high < 0.95
    assert seed_only.difference is not None
    expected = two_way([[0, 0, -1, 0] * 9, [0, 0, 0, -1] * 9], [str(i) for i in range(36)])
    assert seed_only.difference == Mean(-0.25, expected.low, expected.high, 2, expected.p_value)
    (turned, _), same = summarise(results, "seed-only"), seed_only.difference
    assert turned.difference is not None and turned.difference.value == -same.value
    # One cell without its marks, or with other comparisons: then the seeds speak.
    for lost in (None, marked("full", 1, "1" * 35)["marks"]):
        older = [{**results[0], "marks": lost}, *results[1:]]
        assert summarise(older, "full")[1].difference == mean([-0.25, -0.25])


def test_an_accuracy_of_all_or_nothing_is_not_certain() -> None:
    results = [marked("full", 1, "1" * 36), marked("seed-only", 1, "0" * 36)]
    full, seed_only = summarise(results, "full")
    other = wilson(0, 36).high
    assert (full.accuracy.low, full.accuracy.high) == (pytest.approx(1 - other), 1.0)
    assert (seed_only.accuracy.low, seed_only.accuracy.high) == (0.0, pytest.approx(other))
    assert seed_only.difference == Mean(-1.0, -1.0, pytest.approx(2 * other - 1), 1, pytest.approx(2 / 2**36))


def test_how_often_two_variants_differ_and_what_can_then_be_seen() -> None:
    results = [marked("full", 1, "1100"), marked("full", 2, "1111"), marked("seed-only", 1, "1010")]
    assert discordant_share(results, "full", "seed-only") == 0.5
    assert discordant_share([*results, marked("seed-only", 2, "1111")], "full", "seed-only") == 0.25
    assert discordant_share(results, "full", "oracle") is None
    assert discordant_share(RESULTS, "full", "seed-only") is None
    variants = [Variant(name, name, lambda raw: None) for name in ("full", "seed-only")]
    told = account("T", summarise(results, "full"), variants, results, ["a note"], "gramr2 ablate")
    assert told.notes[0] == (
        "Exactly one of full and seed-only is right on 50.0 % of the test comparisons: with one seed, 4 independent comparisons "
        "detect a difference of 99.0 points (80 % power, 5 % level), and detecting 5 points takes 1568."
    )
    assert "95 % bootstrap intervals over seeds and test comparisons (2000 resamples)" in told.provenance
    one_seed = [marked("full", 1, "10" * 15, "aabbccddeeffgghhiijjkkllmmnnoo")]
    told = account("T", summarise(one_seed, "full"), variants, one_seed, [], "gramr2 ablate")
    assert "over test prompts, not seeds" in told.provenance
    assert not told.notes
    same = [marked("full", 1, "1100"), marked("seed-only", 1, "1100")]
    told = account("T", summarise(same, "full"), variants, same, [], "gramr2 ablate")
    assert told.notes == ["full and seed-only are right on exactly the same of the 4 test comparisons."]


def test_the_reference_is_named_in_the_table() -> None:
    results = [
        marked(name, seed, text) for seed in (1, 2) for name, text in (("full", "1110" * 9), ("seed-only", "1100" * 9))
    ]
    variants = [Variant(name, name, lambda raw: None) for name in ("full", "seed-only")]
    told = account("T", summarise(results, "seed-only"), variants, results, [], "gramr2 ablate", "seed-only")
    page = markdown(told)
    assert "| difference to seed-only, points |" in page
    assert re.search(r"\| full \| 2 \| 75.0 % \([^|]*\) \| \+25.0 \(\+1\d\.\d to \+\d\d\.\d, p < 0.001\) \|", page), (
        page
    )
    assert re.search(r"\| seed-only \| 2 \| 50.0 % \([^|]*\) \| – \|", page), page
    assert "difference to seed-only, points" in html(told)


def test_the_share_of_the_way() -> None:
    found = share_of_the_way([0.6, 0.7, 0.65], [0.8, 0.9, 0.85], [0.9, 0.9, 0.9])
    assert found is not None and found.low is not None and found.high is not None
    assert (found.value, found.n) == (pytest.approx(0.2 / 0.25), 3)
    assert found.low <= found.value <= found.high
    assert share_of_the_way([0.5], [0.6], [0.7]) == Mean(pytest.approx(0.5), None, None, 1)
    assert share_of_the_way([0.5], [0.6], [0.5]) is None
    assert share_of_the_way([], [], []) is None


def test_no_way_has_bounds_where_too_many_draws_have_no_gap() -> None:
    # With one of three seeds without a gap a draw has none in one of 27 cases, with two of three in 8 of 27.
    low, reached, one, two = [0.6, 0.6, 0.6], [0.7, 0.65, 0.6], [0.8, 0.7, 0.6], [0.8, 0.6, 0.6]
    found = share_of_the_way(low, reached, one)
    assert found is not None and found.low is not None
    found = share_of_the_way(low, reached, two)
    assert found == Mean(pytest.approx(0.75), None, None, 3)
    variants = {"full": reached, "seed-only": low, "oracle": two}
    results = [
        RESULTS[0] | {"variant": name, "seed": seed, "accuracy": value}
        for name, values in variants.items()
        for seed, value in enumerate(values, 1)
    ]
    told = account("T", summarise(results, "full"), [], results, [], "gramr2 ablate")
    assert told.notes[0] == (
        "The full method goes 75% of the way from seed-only to the oracle (no interval: in too many draws of the 3 seeds the "
        "oracle is no better than seed-only)."
    )


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
