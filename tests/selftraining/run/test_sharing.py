"""Runs that begin alike share round 0, whole or not at all; runs that begin otherwise do not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_loop import config, rows

from conftest import make
from gramr2.data import load_labeled
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run import sharing
from gramr2.selftraining.run.observer import Silent
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


def test_a_seed_judge_behind_written_rationales_is_shared(tmp_path: Path) -> None:
    """They are written into the folder of round 0 before it can be known which seed judge it has."""
    bare = [replace(item, rationale=None) for item in load_labeled("starter:labeled")[0][:6]]
    write_jsonl(tmp_path / "seed.jsonl", map(labeled_row, bare))
    data = {"seed": str(tmp_path / "seed.jsonl"), "pool": [], "gold": "starter:gold"}
    changes: dict[str, Any] = {"rationale": {"own_for_seed": 2}, "data": data}
    assert run(tmp_path / "one", tmp_path / "shared", rounds=0, **changes) == ["round 0"]
    assert run(tmp_path / "two", tmp_path / "shared", rounds=0, **changes) == []
    assert (tmp_path / "two/rounds/0/seed.jsonl").read_bytes() == (tmp_path / "one/rounds/0/seed.jsonl").read_bytes()


def test_a_round_that_is_there_stays(tmp_path: Path) -> None:
    judges, own = SeedJudges(tmp_path / "shared"), tmp_path / "own"
    for folder, text in ((own, "mine"), (tmp_path / "shared" / "x", "theirs")):
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(text)
    judges.take(tmp_path / "shared" / "x", own, Silent())
    judges.give(tmp_path / "shared" / "x", own)
    assert (own / "metrics.json").read_text() == "mine"
    assert (tmp_path / "shared/x/metrics.json").read_text() == "theirs"


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a file": lambda entry: (entry / "model/config.json").write_text("{"),
    "a file is missing": lambda entry: (entry / "model/config.json").unlink(),
    "the model is missing": lambda entry: shutil.rmtree(entry / "model"),
    "the manifest": lambda entry: (entry / "manifest.json").write_text("{"),
    "cut off, without a manifest": lambda entry: [
        (entry / "manifest.json").unlink(),
        (entry / "model/model.safetensors").write_bytes(b"\0"),
    ],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stage", ["seed judge", "warm-up"])
def test_what_is_shared_and_damaged_is_made_again(tmp_path: Path, damage: str, stage: str) -> None:
    shared, warm = tmp_path / "shared", {"warmup": {"form": "responses"}} if stage == "warm-up" else {}
    run(tmp_path / "one", shared, rounds=0, **warm)
    (entry,) = (each for each in shared.iterdir() if each.is_dir() and each.name.startswith("warmup-") is bool(warm))
    # The runs' files are hard links to these.
    shutil.copytree(entry, tmp_path / "copy")
    shutil.rmtree(entry)
    (tmp_path / "copy").rename(entry)
    DAMAGES[damage](entry)
    engine, notes = ScriptedEngine(), list[str]()

    class Noted(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    again = config(rounds=0, **warm)
    SelfTraining(again, tmp_path / "two", engine=engine, observer=Noted(), seed_judges=SeedJudges(shared)).run()
    assert any(str(entry) in note and "damaged" in note for note in notes)
    assert len(engine.warmed if warm else engine.jobs) == 1
    assert (tmp_path / "two/judge").is_dir()
    assert run(tmp_path / "three", shared, rounds=0, **warm) == []
    assert not list(shared.glob(".sharing-*"))


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


def test_a_seed_judge_of_a_version_without_soups_has_the_address_of_a_run_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []
    digest = sharing.digest_of
    monkeypatch.setattr(sharing, "digest_of", lambda decisive: written.append(decisive) or digest(decisive))
    run(tmp_path / "one", tmp_path / "shared", rounds=0)
    assert written and all("soup" not in each["training"] for each in written)
    assert run(tmp_path / "two", tmp_path / "shared", rounds=0, training={"soup": 2}) == ["round 0"]


def test_a_seed_judge_of_texts_with_headers_in_them_is_not_that_of_a_version_that_showed_them_as_they_are() -> None:
    calm = [make(a="x"), make(a="x\n[End]\ny")]
    assert sharing._broken(calm) == {}
    assert sharing._broken([*calm, make(b="x [End]")]) == {"headers": "> "}


def test_a_disk_without_hard_links_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert run(tmp_path / "one", tmp_path / "shared", rounds=0) == ["round 0"]
    assert run(tmp_path / "two", tmp_path / "shared", rounds=0) == []
    assert rows(tmp_path / "one/metrics.jsonl") == rows(tmp_path / "two/metrics.jsonl")


def test_the_backend_decides_the_seed_judge_but_not_the_warm_up(tmp_path: Path) -> None:
    warmed, jobs = [], []
    for place, backend in enumerate(("transformers", "transformers", "vllm")):
        engine = ScriptedEngine()
        changed = config(model={"name": "none", "backend": backend}, warmup="responses", rounds=0)
        SelfTraining(changed, tmp_path / str(place), engine=engine, seed_judges=SeedJudges(tmp_path / "shared")).run()
        warmed.append(len(engine.warmed))
        jobs.append(len(engine.jobs))
    assert warmed == [1, 0, 0]
    assert jobs == [1, 0, 1]
