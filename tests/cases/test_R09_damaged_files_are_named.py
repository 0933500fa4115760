"""``gramr2 report`` and ``gramr2 inspect`` name the damaged file of a run in one sentence; what they print as JSON is strict."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from runs import Case
from test_R09_damaged_run_files import DAMAGES, NAMES

COMMANDS = ("report", "inspect")
TOP = ("run.yaml", "data.json", "baselines.json", "metrics.jsonl")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Case(tmp_path_factory.mktemp("whole"))
    made.train(baselines=["longer"])
    return made.run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture
def older(run: Path) -> Path:
    """A run that has no manifests."""
    for file in run.rglob("manifest.json"):
        file.unlink()
    return run


def named(cli: Any, run: Path, name: str) -> None:
    for command in COMMANDS:
        for flags in ((), ("--json",)):
            code, out, error = cli(command, run, *flags)
            assert code in (1, 2), (command, out)
            assert len(error.splitlines()) == 1, error
            assert name in error
            assert out == ""
    assert not (run / "report.html").exists()


def test_a_whole_run_is_shown(cli, run: Path, older: Path) -> None:
    for each in (run, older):
        for command in COMMANDS:
            code, out, _ = cli(command, each, "--json")
            assert code == 0
            for line in out.splitlines():
                json.loads(line, parse_constant=pytest.fail)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_of_a_round(cli, run: Path, damage: str) -> None:
    for name in NAMES:
        copy = Path(shutil.copytree(run, run.with_name(f"{damage} {name}")))
        DAMAGES[damage](copy / "rounds/1" / name)
        named(cli, copy, f"rounds/1/{name}")


@pytest.mark.parametrize("damage", ["deleted", "cut", "no text"])
def test_a_file_beside_the_rounds(cli, run: Path, damage: str) -> None:
    for name in TOP:
        copy = Path(shutil.copytree(run, run.with_name(f"{damage} {name}")))
        DAMAGES[damage](copy / name)
        named(cli, copy, name)


@pytest.mark.parametrize("damage", ["deleted", "cut", "two lines less", "no text"])
def test_a_file_of_a_round_without_a_manifest(cli, older: Path, damage: str) -> None:
    for name in ("kept.jsonl", "dropped.jsonl", "gold.jsonl", "metrics.json"):
        if (name, damage) == ("metrics.json", "two lines less"):
            continue
        copy = Path(shutil.copytree(older, older.with_name(f"{damage} {name}")))
        DAMAGES[damage](copy / "rounds/1" / name)
        named(cli, copy, f"rounds/1/{name}")


CHANGES: list[tuple[str, Any]] = [
    ("confidence", math.nan),
    ("confidence", math.inf),
    ("confidence", "much"),
    ("responses", ["a"]),
    ("responses", None),
    ("prompt", [{"role": "user"}]),
    ("votes", [{"order": "ab"}]),
    ("votes", 3),
    ("measures", {"a": {}}),
    ("id", None),
    ("filter", 7),
]


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_a_row_of_another_shape(cli, older: Path, key: str, value: Any) -> None:
    file = older / "rounds/1/dropped.jsonl"
    first, *rest = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps(json.loads(first) | {key: value}), *rest]) + "\n")
    named(cli, older, "dropped.jsonl is damaged (")


@pytest.mark.parametrize("text", ["[" * 1_500, "[]", '"', "null", '{"gold": 3}', '{"longer": 3}', '{"round": []}'])
def test_a_file_of_another_shape(cli, run: Path, text: str) -> None:
    for name in TOP:
        copy = Path(shutil.copytree(run, run.with_name(f"copy {name}")))
        (copy / name).write_text(f"{text}\n")
        if (name, text[:7]) != ("data.json", '{"longe') and (name, text[:7]) != ("data.json", '{"round'):
            named(cli, copy, name)


@pytest.mark.parametrize("text", ["seed: 2024-13-99", "{a: &x 1, b: *y}", "seed: 1\x08", "[1", ""])
def test_a_run_yaml_that_yaml_cannot_read(cli, run: Path, text: str) -> None:
    (run / "run.yaml").write_text(text)
    named(cli, run, "run.yaml")
    code, out, _ = cli("verify", run)
    assert (code, "run.yaml" in out) == (1, True)


def test_a_round_that_is_gone(cli, run: Path) -> None:
    for number in (0, 1, 2):
        copy = Path(shutil.copytree(run, run.with_name(f"without {number}")))
        shutil.rmtree(copy / f"rounds/{number}")
        named(cli, copy, f"rounds/{number} is missing")


def test_a_removed_model_is_no_damage(cli, run: Path) -> None:
    shutil.rmtree(run / "rounds/1/model")
    assert [cli(command, run)[0] for command in COMMANDS] == [0, 0]


def test_half_of_a_surrogate_pair_is_shown(cli, older: Path) -> None:
    file = older / "rounds/1/kept.jsonl"
    first, *rest = file.read_text().splitlines()
    row = json.loads(first) | {"rationale": "half \ud800"}
    file.write_text("\n".join([json.dumps(row), *rest]) + "\n")
    for flags in ((), ("--json",)):
        code, out, _ = cli("inspect", older, "--round", 1, "--id", row["id"], *flags)
        assert (code, "half \\ud800" in out) == (0, True)
    assert cli("report", older)[0] == 0
