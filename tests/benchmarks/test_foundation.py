"""One judge over two sources, on a random model: what is seen, what is left out, and what a second call does again."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from conftest import ROOT, labeled
from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import ConfigError, DataError
from gramr2.files import write_jsonl
from gramr2.judging.judge import Judge
from gramr2.judging.records import labeled_row
from gramr2.judgment import Decision
from gramr2.selftraining.loop import SelfTraining

CONTEXT = 4096


def rows(name: str, count: int, a: str = "good words", b: str = "bad and longer words") -> list[LabeledComparison]:
    """Comparisons whose better response is the one with «good» in it."""
    found = []
    for i in range(count):
        texts = {"a": a, "b": b} if i % 2 else {"a": b, "b": a}
        found.append(labeled(f"{name}-{i}", Label.A if i % 2 else Label.B, **texts))
    return found


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("foundation", ROOT / "benchmarks" / "foundation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(tmp_path: Path, tiny_model: Path) -> list[str]:
    """A run on the sources «one» and «two», and tests of «one», «two» and «other»."""
    data: dict[str, Any] = {"seed": [], "pool": [], "gold": []}
    for name in ("one", "two"):
        for part, count in (("seed", 8), ("pool", 4), ("gold", 4)):
            file = tmp_path / part / f"{name}.jsonl"
            write_jsonl(file, map(labeled_row, rows(f"{part}-{name}", count)))
            # «two» has no gold of its own: a specialised run of it is not possible.
            if (part, name) != ("gold", "two"):
                data[part].append(str(file))
    run = {
        "model": str(tiny_model),
        "data": data,
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "training": {"epochs": 1, "min_steps": 0, "batch_size": 8},
        "rounds": 1,
        "guards": {"on_worse": "accept"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    long = [labeled("long", Label.A, a="x" * CONTEXT)]
    for name, items in {
        "one": rows("t1", 7),
        "two": rows("t2", 3),
        # Here the better response is the longer one.
        "other": [*rows("t3", 4, "good words, and many more of them", "bad words"), *long],
    }.items():
        write_jsonl(tmp_path / "tests" / f"{name}.jsonl", map(labeled_row, items))
    return [str(tmp_path / "run.yaml"), "--tests", str(tmp_path / "tests"), "--out", str(tmp_path / "out")]


def table(file: Path) -> dict[str, dict[str, str]]:
    with file.open() as handle:
        return {row["source"]: row for row in csv.DictReader(handle)}


@pytest.mark.slow
def test_measures_every_judge_once(
    command: ModuleType, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "out"
    command.main([*asked, "--limit", "5", "--csv", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "t.svg")])
    found = table(tmp_path / "t.csv")
    assert list(found) == ["one", "two", "other", "all seen", "all unseen"]
    assert [row["its_seed"] for row in found.values()] == ["seen", "seen", "unseen", "seen", "unseen"]
    assert [(row["n"], row["left_out"]) for row in found.values()] == [
        ("5", "0"), ("3", "0"), ("4", "1"), ("8", "0"), ("4", "1"),
    ]  # fmt: skip
    assert "other: 1 of 5 are too long" in (out / "table.md").read_text()
    # The seed's shorter responses are better: what is learnt there is wrong of none with words it knows.
    assert [row["longer"] for row in found.values()] == ["0", "0", "1", "0", "1"]
    assert found["one"]["own bag-of-words"] == found["all seen"]["own bag-of-words"] == "1"
    assert found["other"]["own bag-of-words"] == found["all unseen"]["own frozen-features"] == ""
    assert all(row["judge"] and row["seed judge"] and not row["specialised"] for row in found.values())
    seen = found["all seen"]
    gap = float(seen["judge"]) - float(seen["frozen-features"])
    assert float(seen["judge - frozen-features difference"]) == pytest.approx(gap, abs=1e-5)
    assert seen["judge - own frozen-features p_value"] and found["one"]["judge - seed judge difference"] == ""
    assert (tmp_path / "t.svg").read_text().startswith("<svg")

    kept = {file: file.read_bytes() for file in (out / "rows").rglob("*.json")}
    assert len(kept) == 3 * 5 + 2 * 2
    row = json.loads((out / "rows" / "other" / "judge.json").read_text())
    assert row["n"] == len(row["labels"]) == 4

    def refuse(*_: Any, **__: Any) -> list[Decision]:
        raise AssertionError("judged a second time")

    with monkeypatch.context() as patch:
        patch.setattr(Judge, "judge", refuse)
        patch.setattr("gramr2.baselines.fit", refuse)
        patch.setattr("gramr2.baselines.load", refuse)
        command.main([*asked, "--limit", "5"])
    assert (out / "table.csv").read_text() == (tmp_path / "t.csv").read_text()

    # A row that is gone is judged again, and nothing else is; another draw is another measurement.
    judged: list[int] = []
    original = Judge.judge

    def counted(self: Judge, comparisons: Any, **rest: Any) -> list[Decision]:
        judged.append(len(comparisons))
        return original(self, comparisons, **rest)

    monkeypatch.setattr(Judge, "judge", counted)
    (out / "rows" / "two" / "judge.json").unlink()
    command.main([*asked, "--limit", "5"])
    assert judged == [3]
    assert {file: file.read_bytes() for file in kept} == kept
    command.main([*asked, "--limit", "6"])
    assert judged == [3, 6, 6]
    assert capsys.readouterr().out


@pytest.mark.slow
def test_a_specialised_judge_sees_its_source_alone(
    command: ModuleType, asked: list[str], tmp_path: Path, capsys: Any
) -> None:
    command.main([*asked, "--specialised"])
    found = table(tmp_path / "out" / "table.csv")
    assert found["one"]["specialised"] and not found["two"]["specialised"] and not found["other"]["specialised"]
    # One of the seen sources has none, so there is none for all.
    assert found["all seen"]["specialised"] == found["all seen"]["judge - specialised difference"] == ""
    record = yaml.safe_load((tmp_path / "out" / "specialised" / "one" / "run.yaml").read_text())
    for part in ("seed", "pool", "gold"):
        assert [Path(each["path"]).name for each in record["data"][part]] == ["one.jsonl"]
    assert "specialised is left out on two" in capsys.readouterr().out


@pytest.mark.slow
def test_adapts_to_unseen_sources_from_a_few_of_their_labels(
    command: ModuleType, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    more, out = tmp_path / "more", tmp_path / "out"
    shown = [
        *rows("more", 20, "good words, and many more of them", "bad words"),
        labeled("another", Label.A, a="y" * CONTEXT),
    ]
    write_jsonl(more / "other.jsonl", map(labeled_row, shown))
    # A second unseen source, which nothing is adapted to.
    write_jsonl(tmp_path / "tests" / "last.jsonl", map(labeled_row, rows("t4", 3)))
    learn = [*asked, "--adapt", str(more), "--shots", "12", "--plot", str(out / "t.svg")]
    command.main(learn)
    found = table(out / "table.csv")
    assert list(found)[-3:] == ["all seen", "all unseen", "all adapted to"]
    both, other = found["all adapted to"], found["other"]
    # The seed's shorter responses were better; 12 labels that say the contrary teach it.
    assert other["own frozen-features"] == other["longer"] == "1"
    assert other["adapted"] and other["adapted"] == both["adapted"] and found["one"]["adapted"] == ""
    gap = float(both["adapted"]) - float(both["judge"])
    assert float(both["adapted - judge difference"]) == pytest.approx(gap, abs=1e-5)
    assert "Adapted on 12 comparisons" in (out / "table.md").read_text()
    assert "adapted to" not in (out / "t.svg").read_text()
    (folder,) = (out / "adapted").iterdir()
    assert len((folder / "learnt.jsonl").read_text().splitlines()) == 12
    settings = {name: yaml.safe_load((folder / name / "run.yaml").read_text()) for name in ("adapted", "pretrained")}
    base = yaml.safe_load((out / "run" / "run.yaml").read_text())
    assert settings["adapted"].pop("model") == base["model"] | {"name": str(out / "run" / "judge")}
    assert settings["pretrained"].pop("model") == base["model"]
    assert settings["adapted"] == settings["pretrained"]
    assert settings["adapted"]["judge"]["gold"] == base["judge"]["gold"]

    # What is there is not trained again, nor with another test; other labels are another training.
    original, trained = SelfTraining.run, []

    def counted(self: SelfTraining) -> Any:
        if not self.folder.judge.exists():
            trained.append(self.folder.path.name)
        return original(self)

    monkeypatch.setattr(SelfTraining, "run", counted)
    command.main([*learn, "--limit", "2"])
    assert trained == [] and table(out / "table.csv")["other"]["n"] != other["n"]
    command.main([*asked, "--adapt", str(more), "--shots", "10"])
    assert trained == ["adapted", "pretrained"]
    assert "1 of 21 comparisons are too long" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "items", "shots", "kind", "message"),
    [
        ("one", rows("m", 9), "4", ConfigError, "the run has its labels"),
        ("else", rows("m", 9), "4", ConfigError, "nothing to measure it on"),
        ("other", rows("m", 9), "10", DataError, "has 9 comparisons that fit"),
        ("other", rows("m", 9), "0", ConfigError, "--shots at least 1"),
        (
            "other",
            rows("t3", 2, "good words, and many more of them", "bad words"),
            "2",
            DataError,
            "2 comparisons of other's test",
        ),
    ],
)
def test_what_cannot_be_adapted_to_is_refused_before_training(
    command: ModuleType,
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    items: list[LabeledComparison],
    shots: str,
    kind: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(SelfTraining, "run", lambda self: pytest.fail("trained"))
    write_jsonl(tmp_path / "more" / f"{name}.jsonl", map(labeled_row, items))
    with pytest.raises(kind, match=message):
        command.main([*asked, "--adapt", str(tmp_path / "more"), "--shots", shots])


def test_a_test_comparison_that_was_learnt_is_refused_before_training(
    command: ModuleType, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SelfTraining, "run", lambda self: pytest.fail("trained"))
    write_jsonl(tmp_path / "tests" / "two.jsonl", map(labeled_row, rows("pool-two", 2)))
    with pytest.raises(DataError, match="2 comparisons of two's test are also in what the run learns from"):
        command.main(asked)
