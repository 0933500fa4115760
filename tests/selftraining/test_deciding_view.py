"""A run whose judge keeps the second view for its verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gramr2.baselines.view import FILE, FOLDER, load_view
from gramr2.config import parse_config
from gramr2.errors import ConfigError, ModelError
from gramr2.judging.judge import Judge
from gramr2.loading import load_judge
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.sharing import SeedJudges
from gramr2.testing import ScriptedEngine

VIEW = {"name": "bag-of-words", "verdict_weight": 1.5}
DATA = {
    "seed": {"path": "starter:labeled", "limit": 12},
    "pool": {"path": "starter:unlabeled", "limit": 20},
    "gold": {"path": "starter:gold", "limit": 10},
}


def run(path: Path, engine: ScriptedEngine | None = None, shared: Path | None = None, **changes: Any) -> Path:
    raw: dict[str, Any] = {
        "model": "none",
        "data": DATA,
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "second_view": VIEW,
        "filters": [{"kind": "confidence", "threshold": 0.8, "calibrate": False}],
    }
    config = parse_config(raw | changes)
    SelfTraining(
        config, path, engine=engine or ScriptedEngine(), seed_judges=SeedJudges(shared) if shared else None
    ).run()
    return path


def readings(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["readings"] for line in file.read_text().splitlines()]


def test_gold_is_measured_with_it_and_it_is_saved_with_every_judge(tmp_path: Path) -> None:
    done = run(tmp_path / "r")
    for folder in (done / "rounds/0/model", done / "rounds/1/model", done / "judge"):
        view = load_view(folder)
        assert view is not None
        assert view.weight == 1.5
        assert view.scale > 0
    for number in (0, 1):
        assert all(set(each) == {"direct", "second_view"} for each in readings(done / f"rounds/{number}/gold.jsonl"))
        report = json.loads((done / f"rounds/{number}/metrics.json").read_text())
        assert set(report["gold"]["readings"]) == {"direct", "second_view"}


def test_the_pool_is_labelled_by_the_judge_without_it(tmp_path: Path) -> None:
    kept, alone = (
        (run(tmp_path / name, second_view=VIEW | {"verdict_weight": weight}) / "rounds/1/kept.jsonl").read_text()
        for name, weight in (("with", 1.5), ("without", 0))
    )
    assert kept == alone


def test_a_resumed_run_reads_the_saved_view(tmp_path: Path) -> None:
    whole = run(tmp_path / "r", rounds=0)
    saved = (whole / "judge" / FOLDER / FILE).read_text()
    (whole / "rounds/0/metrics.json").unlink()
    (whole / "rounds/0/manifest.json").unlink(missing_ok=True)
    engine = ScriptedEngine()
    run(whole, engine, rounds=0)
    assert (whole / "judge" / FOLDER / FILE).read_text() == saved
    assert not engine.trained


def test_seed_judges_are_shared_only_between_runs_with_the_same_view(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    run(tmp_path / "with", shared=shared, rounds=0)
    plain = run(tmp_path / "without", shared=shared, rounds=0, second_view=None)
    assert load_view(plain / "judge") is None
    engine = ScriptedEngine()
    again = run(tmp_path / "again", engine, shared=shared, rounds=0)
    assert load_view(again / "judge") is not None
    assert not engine.trained


def test_a_seed_judge_has_no_view_of_another_pool(tmp_path: Path) -> None:
    """The scale of its margins is measured on the pool."""
    shared = tmp_path / "shared"
    first = run(tmp_path / "large", shared=shared, rounds=0)
    data = {**DATA, "pool": {"path": "starter:unlabeled", "limit": 10}}
    engine = ScriptedEngine()
    other = run(tmp_path / "small", engine, shared=shared, rounds=0, data=data)
    assert engine.trained
    assert load_view(other / "judge") != load_view(first / "judge")


def test_a_judge_without_any_preference_is_measured_alone_and_rolled_back(tmp_path: Path) -> None:
    engine = ScriptedEngine(scripts={"1": lambda request, seed: "no verdict"})
    data = {**DATA, "gold": {"path": "starter:gold", "limit": 40}}
    done = run(tmp_path / "r", engine, data=data, guards={"on_worse": "tighten"})
    report = json.loads((done / "rounds/1/metrics.json").read_text())
    assert report["gold"]["coverage"] == 0
    assert report["verdict"] == "rolled back"
    assert not (done / "rounds/1/model" / FOLDER).exists()
    assert load_view(done / "judge") is not None, "the seed judge's"


def test_the_spread_is_measured_on_what_the_judge_has_not_learnt(tmp_path: Path) -> None:
    done = run(tmp_path / "r")
    kept = [json.loads(line)["id"] for line in (done / "rounds/1/kept.jsonl").read_text().splitlines()]
    assert 0 < len(kept) < 12
    views = [load_view(done / f"rounds/{number}/model") for number in (0, 1)]
    assert views[0] is not None and views[1] is not None
    assert views[0].scale != views[1].scale, "the scripted judges are the same, and what they are asked is not"


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="verdict_weight"):
        parse_config({"model": "none", "data": {"seed": "s"}, "second_view": VIEW | {"verdict_weight": -1}})


@pytest.mark.parametrize("content", ["{", "{}", '{"scale": 0, "weight": 1, "most": null, "warmed": false}', "[1]"])
def test_a_damaged_view_is_refused_in_a_sentence(tmp_path: Path, content: str) -> None:
    judge = run(tmp_path / "r", rounds=0) / "judge"
    (judge / FOLDER / FILE).unlink()
    (judge / FOLDER / FILE).write_text(content)
    with pytest.raises(ModelError, match="--no-second-view"):
        load_view(judge)


@pytest.mark.slow
def test_a_real_judge_loads_with_its_view_and_its_warmed_up_backbone(
    tiny_model: Path, tmp_path: Path, write: Callable[..., str]
) -> None:
    rows = [{"prompt": f"say {i}", "responses": [f"{i}", f"not {i}"], "label": "AB"[i % 2]} for i in range(14)]
    raw: dict[str, Any] = {
        "model": {"name": str(tiny_model), "dtype": "float32"},
        "data": {
            "seed": write(*rows[:8], name="seed.jsonl"),
            "pool": write(*({k: row[k] for k in ("prompt", "responses")} for row in rows[8:11]), name="pool.jsonl"),
            "gold": write(*rows[11:], name="gold.jsonl"),
        },
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "warmup": {"epochs": 1, "limit": 4},
        "training": {"epochs": 1, "batch_size": 8, "method": "full"},
        "second_view": {"name": "frozen-features", "verdict_weight": 1},
        "filters": [],
        "rounds": 0,
    }
    SelfTraining(parse_config(raw), tmp_path / "r").run()
    gold = [json.loads(line) for line in (tmp_path / "r/rounds/0/gold.jsonl").read_text().splitlines()]
    judge = load_judge(tmp_path / "r")
    for row in gold:
        decision = judge.compare(row["prompt"], *row["responses"])
        assert decision.probabilities is not None
        assert decision.probabilities.a == pytest.approx(row["probabilities"]["A"], abs=2e-3)
        assert {reading.value for reading in decision.readings} == {"direct", "second_view"}
    inner = judge.model
    assert isinstance(inner, Judge) and inner.view is not None
    opened = inner.view.model.states._open  # type: ignore[attr-defined]
    assert opened.cache_info().misses == 1, "the backbone is loaded once, however often the judge is asked"
    plain = load_judge(tmp_path / "r", second_view=False).compare(gold[0]["prompt"], *gold[0]["responses"])
    assert {reading.value for reading in plain.readings} == {"direct"}
    described = tmp_path / "r/judge" / FOLDER / "baseline.json"
    values = json.loads(described.read_text())
    described.unlink()
    described.write_text(
        json.dumps(values | {"model": values["model"] | {"trust_remote_code": True, "device": "cuda"}})
    )
    view = load_view(tmp_path / "r/judge")
    assert view is not None
    model = view.model.model  # type: ignore[attr-defined]
    assert (model.trust_remote_code, model.device) == (False, "auto"), "what a folder says runs no code"
    (tmp_path / "r/judge").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="warmed-up backbone"):
        load_judge(tmp_path / "moved")
