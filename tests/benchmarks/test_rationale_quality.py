"""The measurement from the command line, with a scripted judge and reader."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from conftest import ROOT, labeled
from gramr2.comparison import Label, LabeledComparison
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rationale_quality", ROOT / "benchmarks" / "rationale_quality.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_measures_a_judge_and_resumes(command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items: list[LabeledComparison] = [labeled(f"c{i}", (Label.A, Label.B)[i % 2]) for i in range(12)]
    write_jsonl(tmp_path / "data.jsonl", map(labeled_row, items))
    out = tmp_path / "out"
    asked = ["--judge", "scripted:longer", "--data", str(tmp_path / "data.jsonl"), "--out", str(out), "--n", "10",
             "--sample", "3", "--reader", "scripted:random"]  # fmt: skip
    command.main(asked)
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((out / "rationale_quality.json").read_text())
    assert (told["comparisons"], told["votes"], told["failed"]) == (10, 20, 0)
    shares = {name: each["share"] for name, each in told["shares"].items()}
    assert (shares["states"], shares["ended"], shares["quotes"]) == (1.0, 1.0, 0.0)
    assert told["shares"]["right"]["interval"] == "group bootstrap"
    # Its reason names the characters of both, so that which is longer can be learnt.
    assert told["read_back"]["bag-of-words"]["verdict"]["accuracy"]["share"] == 1.0
    assert set(told["read_back"]) == {"bag-of-words", "scripted:random"}
    sample = (out / "sample.md").read_text()
    assert sample.count("\n## ") == 3 and "**Rationale**" in sample and "truth **" in sample
    assert (out / ".gitignore").read_text() == "*\n"
    journal = (out / "journal.jsonl").read_bytes()
    command.main(asked)
    assert json.loads(capsys.readouterr().out) == told
    assert (out / "journal.jsonl").read_bytes() == journal


def test_a_text_cannot_close_its_fence(command: ModuleType) -> None:
    lines = command.fenced("```\nx\n````\n").split("\n")
    assert lines[0] == "`````text" and lines[-1] == "`````"
