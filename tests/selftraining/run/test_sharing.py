"""Runs that begin alike share round 0, whole or not at all; runs that begin otherwise do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_loop import config, rows

from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.sharing import SeedJudges
from gramr2.testing import ScriptedEngine


def run(path: Path, shared: Path, **changes: Any) -> list[str]:
    engine = ScriptedEngine()
    SelfTraining(config(**changes), path, engine=engine, seed_judges=SeedJudges(shared)).run()
    return [job.stage for job in engine.jobs]


def test_the_second_run_trains_no_seed_judge_and_ends_as_if_it_had(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    assert run(tmp_path / "one", shared, rounds=0) == ["round 0"]
    assert run(tmp_path / "two", shared) == ["round 1"]
    assert run(tmp_path / "alone", tmp_path / "other") == ["round 0", "round 1"]
    assert rows(tmp_path / "two/metrics.jsonl") == rows(tmp_path / "alone/metrics.jsonl")
    for name in ("kept.jsonl", "dropped.jsonl"):
        assert rows(tmp_path / "two/rounds/1" / name) == rows(tmp_path / "alone/rounds/1" / name)
    assert [each.name for each in shared.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"training": {"epochs": 1}},
        {"judge": {"pool": {"votes": 2}, "gold": {"max_new_tokens": 77}}},
        {"judge": {"pool": {"votes": 2}, "mode": "label"}, "rationale": {"source": "none"}, "filters": []},
        {"guards": {"faithfulness": 2}},
    ],
)
def test_what_decides_the_seed_judge_is_not_shared(tmp_path: Path, change: dict[str, Any]) -> None:
    run(tmp_path / "one", tmp_path / "shared", rounds=0)
    assert "round 0" in run(tmp_path / "two", tmp_path / "shared", rounds=0, **change)


def test_a_round_that_is_there_stays(tmp_path: Path) -> None:
    judges, own = SeedJudges(tmp_path / "shared"), tmp_path / "own"
    for folder, text in ((own, "mine"), (tmp_path / "shared" / "x", "theirs")):
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(text)
    judges.take(tmp_path / "shared" / "x", own)
    judges.give(tmp_path / "shared" / "x", own)
    assert (own / "metrics.json").read_text() == "mine"
    assert (tmp_path / "shared/x/metrics.json").read_text() == "theirs"


def test_other_weights_under_the_same_name_make_another_seed_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    monkeypatch.setattr(ScriptedEngine, "backbone", lambda self, model: backbone)
    assert run(tmp_path / "one", tmp_path / "shared", rounds=0) == ["round 0"]
    assert run(tmp_path / "two", tmp_path / "shared", rounds=0) == []
    (backbone / "model.safetensors").write_bytes(b"other")
    assert run(tmp_path / "three", tmp_path / "shared", rounds=0) == ["round 0"]


def test_a_disk_without_hard_links_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert run(tmp_path / "one", tmp_path / "shared", rounds=0) == ["round 0"]
    assert run(tmp_path / "two", tmp_path / "shared", rounds=0) == []
    assert rows(tmp_path / "one/metrics.jsonl") == rows(tmp_path / "two/metrics.jsonl")
