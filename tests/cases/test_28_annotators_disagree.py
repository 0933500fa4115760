"""The same comparison with different labels is counted, and refused, dropped or made one as the run file says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gramr2.comparison import Label
from gramr2.config import load_config
from gramr2.errors import ConfigError, DataError
from gramr2.selftraining.run.data import RunData, load_data

ROWS = [
    {"id": "a1", "prompt": "Name a prime above 10.", "responses": ["11", "12"], "label": "A"},
    {"id": "a2", "prompt": "Name a prime above 10.", "responses": ["11", "12"], "label": "B"},
    {"id": "a3", "prompt": "Name a prime above 10.", "responses": ["12", "11"], "label": "B"},
    {"id": "b1", "prompt": "Name a lake.", "responses": ["Garda", "a cat"], "label": "A", "rationale": "Response B is better."},
    {"id": "c1", "prompt": "Say x.", "responses": ["x", "x"], "label": "tie"},
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path):
    (tmp_path / "seed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def write(**settings: Any) -> Path:
        file = tmp_path / "run.yaml"
        data = {"seed": "seed.jsonl", "gold": {"path": "starter:gold", "limit": 8}} | settings
        training = {"verdict": {"soft": settings.get("aggregate") == "soft"}}
        file.write_text(yaml.safe_dump({"model": "tiny-random", "data": data, "rounds": 0, "training": training}))
        return file

    return write


def loaded(file: Path) -> RunData:
    return load_data(load_config(file))


def test_check_counts_what_a_person_should_know(cli, run) -> None:
    code, text, _ = cli("check", run())
    assert code == 0
    assert "1 comparisons occur more than once, 1 of them with different labels, Krippendorff's α" in text
    assert "1 have two identical responses" in text
    assert "1 rationales conclude another label than their row's" in text


def test_they_are_accepted_dropped_or_refused(run) -> None:
    assert [item.comparison.id for item in loaded(run()).seed] == ["a1", "a2", "a3", "b1", "c1"]
    assert [item.comparison.id for item in loaded(run(on_conflict="drop")).seed] == ["b1", "c1"]
    with pytest.raises(DataError, match=r"data\.seed: 3 rows have another label.*'a1'"):
        loaded(run(on_conflict="refuse"))


def with_stage(file: Path, stage: str, data: Any) -> Path:
    """The run file with data for a stage that has its own."""
    settings = yaml.safe_load(file.read_text())
    settings |= (
        {"rationale": {"source": "proving", "proving": {"data": data}}}
        if stage == "proving"
        else {"final": {"data": data}}
    )
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.mark.parametrize(("stage", "key"), [("proving", r"rationale\.proving\.data"), ("final", r"final\.data")])
def test_what_is_refused_is_named_by_its_key_in_the_run_file(stage: str, key: str, run, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row | {"rationale": "It is."}) + "\n" for row in ROWS))
    (tmp_path / "seed.jsonl").write_text(json.dumps(ROWS[3]) + "\n")
    with pytest.raises(DataError, match=rf"^{key}: 3 rows have another label.*data\.on_conflict: drop"):
        loaded(with_stage(run(on_conflict="refuse"), stage, "own.jsonl"))
    with pytest.raises(DataError, match=rf"^{key}: the id 'a1' occurs in two sources"):
        loaded(with_stage(run(), stage, ["own.jsonl", "own.jsonl"]))


def test_several_labels_become_one(run) -> None:
    for how in ("majority", "soft"):
        seed = loaded(run(aggregate=how, on_conflict="refuse")).seed
        assert [item.comparison.id for item in seed] == ["a1", "b1", "c1"]
        assert seed[0].label is Label.A
        assert seed[0].target == (pytest.approx((2 / 3, 1 / 3, 0)) if how == "soft" else None)


def test_shares_that_nothing_learns_are_refused(run) -> None:
    file = run(aggregate="soft")
    file.write_text(file.read_text().replace("soft: true", "soft: false"))
    with pytest.raises(ConfigError, match="no effect without training.verdict.soft"):
        load_config(file)


def test_annotators_with_a_column_of_their_own(cli, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**row, "worker": place % 3} for place, row in enumerate(ROWS)]
    (tmp_path / "seed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"path": "seed.jsonl", "columns": {"annotator": "worker"}}
    code, text, _ = cli("check", run(seed=source))
    assert (code, "Fleiss' κ" in text, "Cohen" in text) == (0, True, False)
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation.classification.dawid_skene", None)
    code, _, error = cli("check", run(seed=source, aggregate="dawid_skene"))
    assert (code, "pip install" in error, "crowd-kit" in error) == (2, True, True), error


def test_who_labelled_is_kept_with_labels_in_memory() -> None:
    from gramr2.data import read_row
    from gramr2.judging.records import labeled_row

    (item,) = read_row(ROWS[0] | {"annotator": 7.0}, "here", default_id="x")
    (again,) = read_row(labeled_row(item), "here", default_id="x")
    assert (again, again.annotator, item.swap().annotator) == (item, "7", "7")
    (odd,) = read_row(ROWS[0] | {"annotator": {"id": 7}}, "here", default_id="x")
    assert odd.annotator is None


def test_check_counts_near_copies(cli, run, tmp_path: Path) -> None:
    long = "The lake of Garda, in the north of Italy, is the largest lake of the country"
    pool = [
        {"id": "p1", "prompt": "Name a lake, please.", "responses": [long, "a cat"]},
        {"id": "p2", "prompt": "Name a lake, please.", "responses": ["a cat", long.upper()]},
        {"id": "p3", "prompt": "Name a lake, please.", "responses": ["a cat", f"{long}."]},
        {"id": "p4", "prompt": "Name a lake, please.", "responses": ["a cat", f"{long} today"]},
        {"id": "p5", "prompt": "Say anything else.", "responses": ["something", "else"]},
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    gold = {"prompt": "Name a lake, please.", "responses": [f"{long} too", "a cat"], "label": "A"}
    (tmp_path / "gold.jsonl").write_text(json.dumps(gold) + "\n")
    file = run(pool="pool.jsonl", gold="gold.jsonl")
    _, text, _ = cli("check", file)
    assert "data.pool: of 5 comparisons 1 are copies of another, 2 nearly copies of another" in text
    assert "data.gold: of 1 comparisons 1 nearly copies of pool comparisons" in text
    _, text, _ = cli("check", file, "--json")
    assert json.loads(text)["near_copies"]["pool"] == {"compared": 5, "copies": 1, "near": 2}
