"""The baselines of a run: fitted and measured once, left out with a reason, asked for margins, and found again by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes

from gramr2 import baselines
from gramr2.comparison import Label
from gramr2.config import RunConfig, parse_config
from gramr2.config.training import ModelConfig
from gramr2.errors import ConfigError, RunError
from gramr2.journal import Journal
from gramr2.judging.template import JudgeTemplate
from gramr2.selftraining.gate import baselines as of_runs
from gramr2.selftraining.gate.baselines import from_run, margins_of, measure_baselines
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.folder import RunFolder
from gramr2.testing import ScriptedEngine, longer

SMALL: dict[str, Any] = {
    "model": "none",
    "data": {
        "seed": {"path": "starter:labeled", "limit": 24},
        "pool": {"path": "starter:unlabeled", "limit": 6},
        "gold": {"path": "starter:gold", "limit": 20},
        "held_out_share": 0.7,
    },
    "judge": {"pool": {"votes": 1}},
    "rounds": 1,
}


class Real(ScriptedEngine):
    """Judges by a script, and has its backbone in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.opened = folder, 0

    def backbone(self, model: ModelConfig) -> Path:
        return self.folder

    def open(self, folder: Path, model: ModelConfig) -> Any:
        if folder == self.folder:
            from gramr2.backends.transformers import TransformersBackend

            self.opened += 1
            return TransformersBackend(folder)
        return super().open(folder, model)


def config(**changes: Any) -> RunConfig:
    return parse_config(SMALL | changes)


def run(path: Path, engine: ScriptedEngine | None = None, **changes: Any) -> tuple[list[dict[str, Any]], list[str]]:
    observer = Notes()
    metrics = [
        each.row()
        for each in SelfTraining(config(**changes), path, engine=engine or ScriptedEngine(), observer=observer).run()
    ]
    return metrics, observer.notes


def files(folder: Path) -> dict[str, bytes]:
    found = [folder / "baselines.json", *sorted((folder / "baselines").rglob("*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in found if file.is_file()}


def test_a_run_measures_its_baselines_first_and_warns_last(tmp_path: Path) -> None:
    metrics, notes = run(tmp_path / "r")
    found = json.loads((tmp_path / "r/baselines.json").read_text())
    assert list(found) == ["longer", "bag-of-words", "frozen-features"]
    for name in ("longer", "bag-of-words"):
        assert list(found[name]["gold"]) == ["n", "accuracy", "low", "high", "order_flip_rate", "coverage"]
        assert (found[name]["gold"]["n"], found[name]["gold"]["coverage"], found[name]["gold"]["order_flip_rate"]) == (
            20,
            1,
            0,
        )
        assert len(found[name]["labels"]) == 20
    gold = [json.loads(line) for line in (tmp_path / "r/rounds/0/gold.jsonl").read_text().splitlines()]
    for row, label in zip(gold, found["longer"]["labels"], strict=True):
        first, second = map(len, row["responses"])
        assert label == ("A" if first > second else "B" if second > first else "tie")
    hits = sum(row["truth"] == label for row, label in zip(gold, found["bag-of-words"]["labels"], strict=True))
    assert found["bag-of-words"]["gold"]["accuracy"] == hits / 20
    assert found["frozen-features"] == {"left_out": "the backbone backbone/none is not a model folder here"}
    assert notes[0] == f"the baseline frozen-features is left out: {found['frozen-features']['left_out']}"
    last = metrics[-1]
    assert set(last["against_baselines"]) == {"longer", "bag-of-words"}
    assert last["warnings"] and last["warnings"] == notes[-len(last["warnings"]) :]
    assert "not significantly better" in "".join(last["warnings"])
    assert "warnings" not in metrics[0]
    # The scripted judge answers as «longer» does, so any gold is large enough for that pair; for another baseline 20 are too few.
    alone, _ = run(tmp_path / "alone", baselines=["bag-of-words"])
    assert "Gold is too small" in "".join(alone[-1]["warnings"])
    assert json.loads((tmp_path / "r/metrics.jsonl").read_text().splitlines()[-1]) == last


def test_the_final_judge_is_the_one_in_force(tmp_path: Path) -> None:
    """A round that is rolled back is the last row, but what it says of the run is said of the judge before."""

    def contrary(request: Any, seed: int) -> Any:
        from gramr2.judging.scripted import verdict_text
        from gramr2.judging.template import extract

        _, a, b = extract(request.messages)
        return verdict_text(Label.B if len(a) >= len(b) else Label.A, "Feedback: Response A and Response B.")

    sizes = [(10, 60) if i % 2 else (60, 10) for i in range(30)]
    rows = [
        {"id": f"g{i}", "prompt": f"question {i}", "responses": ["x" * a, "y" * b], "label": "A" if a > b else "B"}
        for i, (a, b) in enumerate(sizes)
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = SMALL["data"] | {"gold": str(tmp_path / "gold.jsonl")}
    metrics, notes = run(tmp_path / "r", ScriptedEngine(longer, {"1": contrary}), data=data, filters=[])
    assert (metrics[1]["verdict"], metrics[1]["gold"]["accuracy"]) == ("rolled back", 0)
    assert metrics[1]["against_baselines"]["longer"]["difference"] == 0
    assert "not significantly better on gold than the baseline longer" in notes[-1]


def test_they_learn_from_what_is_held_out_too(tmp_path: Path) -> None:
    run(tmp_path / "r")
    assert json.loads((tmp_path / "r/data.json").read_text())["held_out"]["n"] == 17
    assert json.loads((tmp_path / "r/baselines.json").read_text())["bag-of-words"]["fitted_on"] == 24
    direct = baselines.fit(
        "bag-of-words", [*context(tmp_path / "x").data.seed, *context(tmp_path / "y").data.held_out], model="none"
    )
    assert direct.id == json.loads((tmp_path / "r/baselines.json").read_text())["bag-of-words"]["id"]


def context(path: Path, engine: Any = None, observer: Any = None, **changes: Any) -> RunContext:
    settings, folder = config(**changes), RunFolder(path)
    return RunContext(
        settings,
        folder,
        engine or ScriptedEngine(),
        observer or Notes(),
        JudgeTemplate(),
        load_data(settings),
        Journal(),
    )


def test_what_was_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measure_baselines(context(tmp_path / "r"))
    before = files(tmp_path / "r")
    assert set(before) == {
        "baselines.json",
        "baselines/longer/baseline.json",
        "baselines/bag-of-words/baseline.json",
        "baselines/bag-of-words/baseline.safetensors",
    }

    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("fitted again")

    monkeypatch.setattr(baselines, "fit", never)
    assert measure_baselines(context(tmp_path / "r")) == first
    # Killed before baselines.json, and in the middle of a save: what is complete is loaded.
    (tmp_path / "r/baselines.json").unlink()
    assert measure_baselines(context(tmp_path / "r")) == first
    assert files(tmp_path / "r") == before
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "r/baselines/bag-of-words")
    (tmp_path / "r/baselines.json").unlink()
    (tmp_path / "r/baselines/bag-of-words.tmp").mkdir()
    (tmp_path / "r/baselines/bag-of-words.tmp/baseline.json").write_text("{")
    measure_baselines(context(tmp_path / "r"))
    assert files(tmp_path / "r") == before


def test_a_seed_of_ties_leaves_out_what_learns(tmp_path: Path) -> None:
    row = {"prompt": "p", "responses": ["a one", "b two"], "label": "tie"}
    lines = [json.dumps(row | {"id": str(i), "prompt": f"p{i}"}) for i in range(4)]
    (tmp_path / "ties.jsonl").write_text("\n".join(lines))
    observer = Notes()
    found = measure_baselines(
        context(tmp_path / "r", observer=observer, data=SMALL["data"] | {"seed": str(tmp_path / "ties.jsonl")})
    )
    assert list(found) == ["longer"]
    assert any("bag-of-words is left out" in note and "all ties" in note for note in observer.notes)


@pytest.mark.parametrize(
    ("loss", "verdict", "held_out", "warned"),
    [
        (0.61, {}, 0, True),
        (0.6, {}, 0, False),
        (0.61, {"smoothing": 0.1}, 0, False),
        (0.61, {"soft": True}, 0, False),
        (0.61, {}, 3, False),
    ],
)
def test_a_judge_that_has_not_learnt_its_labels_raises_an_alarm(
    tmp_path: Path, loss: float, verdict: dict[str, Any], held_out: int, warned: bool
) -> None:
    engine = ScriptedEngine()
    engine.report = {"examples": 24, "steps": 7, "held_out": held_out, "parts": {"direct_verdict_loss": loss}}
    metrics, notes = run(tmp_path / "r", engine, baselines=[], filters=[], training={"verdict": verdict})
    said = [note for note in notes if "has not learnt its labels" in note]
    assert [note.split(" the judge")[0] for note in said] == ["round 0:", "round 1:", "In the end"] * warned
    assert metrics[-1]["warnings"] == said[-1:]
    kinds = [[alarm["kind"] for alarm in row["alarms"]] for row in metrics]
    assert [each.count("labels not learnt") for each in kinds] == [warned, warned]
    if warned:
        assert "after 7 steps on 24 comparisons its verdict loss on them is 0.61 nats" in said[0]
        # An interrupted run says it too: the alarm is made of the files.
        shutil.rmtree(tmp_path / "r/judge")
        (tmp_path / "r/rounds/1/metrics.json").unlink()
        _, again = run(tmp_path / "r", engine, baselines=[], filters=[], training={"verdict": verdict})
        assert [note for note in again if "has not learnt" in note] == said[1:]


def test_none_are_none(tmp_path: Path) -> None:
    metrics, notes = run(tmp_path / "r", baselines=[])
    assert (metrics[-1]["against_baselines"], metrics[-1]["warnings"]) == ({}, [])
    assert not any("baseline" in note for note in notes)
    assert not (tmp_path / "r/baselines").exists()
    with pytest.raises(ConfigError, match="each may be listed only once, got longer, longer"):
        config(baselines=["longer", "longer"])
    with pytest.raises(ConfigError, match="baselines: there is no baseline 'oracle'"):
        config(baselines=["oracle"])


@pytest.mark.slow
def test_frozen_features_are_reached_through_the_engine(tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    engine = Real(tiny_model)
    shutil.rmtree(cache / "features", ignore_errors=True)
    metrics, notes = run(tmp_path / "r", engine)
    assert set(metrics[-1]["against_baselines"]) == {"longer", "bag-of-words", "frozen-features"}
    assert not any("left out" in note for note in notes)
    opened = engine.opened
    assert opened > 0
    expected = files(tmp_path / "r")
    run(tmp_path / "again", engine)
    assert files(tmp_path / "again") == expected
    assert engine.opened == opened


@pytest.mark.slow
def test_margins_by_id(tiny_model: Path, tmp_path: Path) -> None:
    here = context(tmp_path / "r", Real(tiny_model), baselines=["longer"])
    pool = here.data.pool
    margins = margins_of(here, "frozen-features", pool)
    assert list(margins) == [each.id for each in pool]
    assert (tmp_path / "r/baselines/frozen-features/baseline.json").exists()
    assert margins_of(here, "frozen-features", pool[:2]) == {each.id: margins[each.id] for each in pool[:2]}
    with pytest.raises(ConfigError, match="needs the baseline frozen-features, but the backbone"):
        margins_of(context(tmp_path / "s"), "frozen-features", pool)


def test_a_runs_own_baseline_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "r")
    own = from_run("bag-of-words", str(tmp_path / "r"))
    assert own.id == json.loads((tmp_path / "r/baselines.json").read_text())["bag-of-words"]["id"]
    shutil.rmtree(tmp_path / "r/baselines")
    monkeypatch.setattr(of_runs, "LocalEngine", lambda config: ScriptedEngine())
    assert from_run("bag-of-words", str(tmp_path / "r")).id == own.id
    assert not (tmp_path / "r/baselines").exists()
    assert from_run("longer", "").id == "longer"
    for name, where, error, sentence in (
        ("longer", "r", ConfigError, "give --model longer"),
        ("bag-of-words", "", ConfigError, "give --model bag-of-words:RUN"),
        ("bag-of-words", str(tmp_path / "no"), RunError, "not a run folder"),
        ("bradley-terry", str(tmp_path / "r"), RunError, "under baselines:"),
    ):
        with pytest.raises(error, match=sentence):
            from_run(name, where)


def test_what_is_labelled_too_does_not_count_as_unlearnt() -> None:
    """A pool may hold the seed's own comparisons, even the other way round."""
    data = load_data(parse_config(SMALL))
    copies = [replace(item.comparison.swap(), id=f"copy-{item.comparison.id}") for item in (*data.seed, *data.held_out)]
    assert of_runs._unlearnt(replace(data, pool=(*copies, *data.pool))) == data.pool
