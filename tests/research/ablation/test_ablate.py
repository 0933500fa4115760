"""Cells on a real, if ignorant, model: every kind of judge ends in a result, a stopped ablation goes on, mistakes are sentences."""

from __future__ import annotations

import csv
import gc
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gramr2.cli.main import app
from gramr2.config import load_config, parse_config
from gramr2.errors import ConfigError, DataError, RunError
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.research.ablation import cell
from gramr2.research.ablation.cell import RESULT, SPEC
from gramr2.research.ablation.runner import AblationPlan, _adopt, _start
from gramr2.research.ablation.variants import variants_for
from gramr2.research.lab.comparisons import SIZES, Part, draw

RUN: dict[str, Any] = {
    "model": "tiny-random",
    "data": {
        "seed": {"path": "lab:labeled", "limit": 8},
        "pool": {"path": "lab:unlabeled", "limit": 6},
        "gold": {"path": "lab:gold", "limit": 6},
    },
    "judge": {
        "pool": {"votes": 1, "max_new_tokens": 8, "close_on_budget": True},
        "gold": {"max_new_tokens": 8, "close_on_budget": True},
    },
    "training": {"epochs": 1, "min_steps": 0, "batch_size": 8},
    "rounds": 1,
}


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """The same run on as much of the lab as it uses, in files that each cell reads at once, and a test set."""
    places = {part: tmp_path / f"{part.value}.jsonl" for part in SIZES}
    for part, file in places.items():
        write_jsonl(file, map(labeled_row, draw(part)[:8]))
    data = {
        name: source | {"path": str(places[Part(source["path"].removeprefix("lab:"))])}
        for name, source in RUN["data"].items()
    }
    run = tmp_path / "small.yaml"
    run.write_text(yaml.safe_dump(RUN | {"data": data}))
    return run, places[Part.TEST]


def cell_of(folder: Path) -> None:
    """Run a cell in a process that others like it were copied from."""
    gc.freeze()  # the libraries stay
    sys.exit(cell.main(folder))


class Cell:
    """A copied process, as the runner looks at one."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["gramr2.training.sft", "gramr2.training.bradley_terry", "gramr2.backends.transformers", cell.__name__]
        )
        self.process = context.Process(target=cell_of, args=(folder,))
        self.process.start()
        self.terminate, self.wait = self.process.terminate, self.process.join

    def poll(self) -> int | None:
        return self.process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are copies of one process that has imported the libraries, instead of importing them one by one."""
    monkeypatch.setattr("gramr2.research.ablation.runner._start", Cell)


def ablate(*arguments: object) -> None:
    result = CliRunner().invoke(app, ["ablate", *map(str, arguments), "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.slow
@pytest.mark.usefixtures("copied")
def test_every_kind_of_judge_gets_a_result_and_the_same_command_goes_on(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, (run, test) = tmp_path / "out", small
    names = ["full", "seed-only", "bradley-terry", "zero-shot", "few-shot", "oracle"]
    command = (
        "--out",
        out,
        "--domain",
        run,
        "--test",
        test,
        "--limit",
        6,
        "--seeds",
        1,
        "--only",
        ",".join(names),
    )
    ablate(*command)
    rows = list(csv.DictReader((out / "ablation.csv").open()))
    assert [row["variant"] for row in rows] == names
    assert all(row["n"] == "6" and 0 <= float(row["accuracy"]) <= 1 for row in rows)
    assert float(rows[2]["order_flip_rate"]) == 0  # a scalar reward sees no order
    assert rows[0]["accepted_rounds"] in ("0", "1")
    assert not rows[1]["kept"] or rows[1]["kept"] == "0"
    assert not list(out.glob("cells/*/run/rounds/*/model"))
    # A finished cell is not run again; one without its result is.
    kept = {name: (out / f"cells/{name}-1/{RESULT}").stat().st_mtime_ns for name in names}
    (out / f"cells/zero-shot-1/{RESULT}").unlink()
    with monkeypatch.context() as patch:
        # In a process of its own, as each has it outside of tests.
        patch.setattr("gramr2.research.ablation.runner._start", _start)
        ablate(*command)
    again = {name: (out / f"cells/{name}-1/{RESULT}").stat().st_mtime_ns for name in names}
    assert [name for name in names if kept[name] != again[name]] == ["zero-shot"]
    assert next(iter(csv.DictReader((out / "ablation.csv").open()))) == rows[0]
    assert "over test comparisons, not seeds (2000 resamples)" in (out / "ablation.md").read_text()
    # Another reference asks for no new cell.
    result = CliRunner().invoke(app, ["ablate", *map(str, command), "--reference", "seed-only", "--json"])
    told = json.loads(result.stdout)
    differences = {each["variant"]: each["difference"] for each in told["summaries"]}
    assert [name for name, value in differences.items() if value is None] == ["seed-only"]
    assert differences["full"]["low"] <= differences["full"]["value"] <= differences["full"]["high"]
    assert 0 < differences["full"]["p_value"] <= 1
    assert "marks" not in told["results"][0]
    assert "--reference seed-only" in (out / "ablation.md").read_text()
    assert again == {name: (out / f"cells/{name}-1/{RESULT}").stat().st_mtime_ns for name in names}


@pytest.mark.slow
@pytest.mark.usefixtures("copied")
def test_a_run_that_was_stopped_goes_on_and_tables_are_there_before_the_end(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, (run, test) = tmp_path / "out", small
    command = ("--out", out, "--domain", run, "--test", test, "--limit", 6, "--seeds", 1, "--jobs", 1)

    def stop(self: object, text: str) -> None:
        if text.startswith("seed-only-1"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gramr2.cli.console.Bars.note", stop)
        result = CliRunner().invoke(app, ["ablate", *map(str, command), "--only", "full,seed-only,no-filter"])
    assert result.exit_code != 0
    assert [row["variant"] for row in csv.DictReader((out / "ablation.csv").open())] == ["full"]
    assert "2 cells are not finished" in (out / "ablation.md").read_text()
    spec = json.loads((out / "cells/no-filter-1" / SPEC).read_text())
    assert spec["threads"] >= 1
    # More threads than it was begun with would change the last digits; wanting the models is no other ablation.
    ablate(*command[:-1], 2, "--only", "full,seed-only,no-filter", "--keep-models")
    assert [row["variant"] for row in csv.DictReader((out / "ablation.csv").open())] == [
        "full",
        "seed-only",
        "no-filter",
    ]
    assert json.loads((out / "cells/no-filter-1" / SPEC).read_text())["threads"] == spec["threads"]
    assert (out / "cells/no-filter-1/run/judge/config.json").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("copied")
def test_a_variant_may_have_fewer_seeds_and_seeds_come_first(small: tuple[Path, Path], tmp_path: Path) -> None:
    run, test = small
    base = load_config(run)
    names = ("full", "oracle", "seed-only")
    variants = [each for each in variants_for(base) if each.name in names]
    plan = AblationPlan(base, variants, range(1, 4), str(test), fewer={"oracle": 1, "seed-only": 2})
    assert [(seed, each.name) for seed, each in plan.cells] == [
        (1, "full"), (1, "seed-only"), (1, "oracle"), (2, "full"), (2, "seed-only"), (3, "full"),
    ]  # fmt: skip
    command = ["--domain", run, "--test", test, "--limit", 4, "--seeds", 2, "--jobs", 1]
    ablate("--out", tmp_path / "o", *command, "--only", "longer,bag-of-words:1", "--reference", "longer")
    rows = csv.DictReader((tmp_path / "o/ablation.csv").read_text().splitlines())
    assert sorted((row["variant"], row["seed"]) for row in rows) == [
        ("bag-of-words", "1"),
        ("longer", "1"),
        ("longer", "2"),
    ]


def test_mistakes_are_sentences(small: tuple[Path, Path], tmp_path: Path) -> None:
    domain, test = small
    for arguments, words in (
        (["--domain", domain], "--test is needed"),
        (["--domain", domain, "--test", tmp_path / "gold.jsonl"], "also in data.gold"),
        (
            ["--domain", domain, "--test", test, "--only", "ful"],
            "'ful' is not known .did you mean full.*: take some of full",
        ),
        (
            ["--domain", domain, "--test", test, "--reference", "ful"],
            "'ful' is not among the configurations .did you mean full.*: take",
        ),
        (
            ["--domain", domain, "--test", test, "--only", "full,oracle", "--reference", "seed-only"],
            "'seed-only' is not among the configurations: take one of full, oracle",
        ),
        (
            ["--domain", domain, "--test", test, "--only", "full,oracle:none"],
            "'oracle:none': 'none' is not a number of seeds: write oracle:3",
        ),
    ):
        with pytest.raises((ConfigError, DataError), match=words):
            ablate("--out", tmp_path / "o", *arguments)
    spec = tmp_path / "o/cells/zero-shot-1" / SPEC
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"config": {"model": "none", "rounds": "many"}}))
    with pytest.raises(RunError, match="another version of gramr2"):
        ablate("--out", tmp_path / "o", "--domain", domain, "--test", test, "--only", "zero-shot")
    spec.write_text(json.dumps({"variant": "another"}))
    with pytest.raises(RunError, match=r"other settings \(config, data_digest, kind"):
        ablate("--out", tmp_path / "o", "--domain", domain, "--test", test, "--only", "zero-shot")


def test_a_cell_of_an_older_version_goes_on_under_the_present_names(tmp_path: Path) -> None:
    now = parse_config({"model": "none", "data": {"seed": "s", "gold": "g"}, "rounds": 0}).model_dump(mode="json")
    old = json.loads(json.dumps(now))
    for place in ("pool", "gold"):
        del old["judge"][place]["stop_certainty"]
        old["judge"][place]["settled"] = None
    (tmp_path / SPEC).write_text(json.dumps({"config": old, "threads": 3}))
    _adopt(tmp_path, {"config": now, "threads": 1})
    assert json.loads((tmp_path / SPEC).read_text()) == {"config": now, "threads": 3}


def test_a_cell_goes_on_with_another_engine(tmp_path: Path) -> None:
    now = parse_config({"model": "none", "data": {"seed": "s", "gold": "g"}, "rounds": 0}).model_dump(mode="json")
    _adopt(tmp_path, {"config": now, "threads": 1})
    there = now | {"engine": now["engine"] | {"kind": "ray"}}
    _adopt(tmp_path, {"config": there, "threads": 1})
    assert json.loads((tmp_path / SPEC).read_text())["config"] == there
    with pytest.raises(RunError, match=r"other settings \(config\)"):
        _adopt(tmp_path, {"config": there | {"seed": 9}, "threads": 1})
