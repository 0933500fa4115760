"""``gramr2 lab`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gramr2.config import parse_config
from gramr2.research.lab import run as lab_run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The lab's own run, cut to seconds."""
    raw = yaml.safe_load(lab_run.run_file().read_text(encoding="utf-8"))
    for source in (*raw["data"]["seed"], raw["data"]["pool"], raw["data"]["gold"]):
        source["limit"] = min(source["limit"], 8)
    raw["judge"]["pool"]["votes"] = 1
    raw["training"] |= {"min_steps": 4, "epochs": 1}
    raw |= {"rounds": 1, "curriculum": {"per_round": 8}}
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    monkeypatch.setattr(lab_run, "run_file", lambda: file)
    return file


def test_the_run_file_is_printed_and_is_one(cli: Any) -> None:
    code, text, _ = cli("lab", "config")
    assert code == 0
    config = parse_config(yaml.safe_load(text))
    assert (config.model.name, config.rounds) == ("lab-tiny", 3)


def test_its_data_are_written_with_truth_and_reasons(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "test.jsonl"
    code, text, _ = cli("lab", "data", "test", "--out", out, "--limit", 3)
    assert (code, text.strip()) == (0, f"3 comparisons in {out}")
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert all(row["label"] in ("A", "B", "tie") and row["rationale"].startswith("Feedback:") for row in rows)
    code, _, error = cli("lab", "data", "pretraining", "--out", out)
    assert code != 0
    assert "the lab has lab:labeled" in error


@pytest.mark.slow
def test_it_trains_and_its_pseudo_labels_can_be_audited(cli: Any, small: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, text, error = cli("lab", "train", "--out", run, "--seed", 3)
    assert code == 0, error
    assert "Accuracy on 8 gold comparisons" in text
    assert yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))["seed"] == 3
    code, text, _ = cli("lab", "audit", run, "--json")
    judged = json.loads(text)["1"]["judged"]
    assert judged["n"] == 8
    assert 0 <= judged["label_accuracy"] <= 1


def test_only_the_lab_can_be_audited(cli: Any, tmp_path: Path) -> None:
    code, _, error = cli("lab", "audit", tmp_path / "none")
    assert code != 0
    assert len(error.strip().splitlines()) == 1


def test_a_model_is_not_written_over_something_else(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    code, _, error = cli("lab", "pretrain", "--out", tmp_path)
    assert code != 0
    assert "is not empty" in error


@pytest.mark.slow
def test_a_model_is_made_from_nothing(cli: Any, tmp_path: Path) -> None:
    code, _, error = cli("lab", "pretrain", "--out", tmp_path / "m", "--steps", 1, "--seed", 1, "--quiet")
    assert code == 0, error
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {
        f.name for f in (tmp_path / "m").iterdir()
    }
