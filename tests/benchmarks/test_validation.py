"""Settings are chosen on prompts that nothing of the run has seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from validation import changed, divided, main, right_of_kept

from gramr2.comparison import Label
from gramr2.config import load_config
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.research.ablation import runner
from gramr2.research.ablation.cell import main as run_cell
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.sources import read_labeled


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A seed of 8 labels out of 200, in whose file the pool's and the gold's prompts stand too."""
    rows = [
        {"id": f"s{i}", "prompt": f"Question {i}?", "responses": [f"fair {i}", f"bad {i}"], "label": "AB"[i % 2]}
        for i in range(200)
    ]
    (tmp_path / "seed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = {
        "model": "tiny-random",
        "data": {
            "seed": {"path": "seed.jsonl", "part": [0, 0.9], "limit": 8},
            "pool": {"path": "seed.jsonl"},
            "gold": {"path": "seed.jsonl", "part": [0.9, 1], "limit": 6},
        },
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "training": {"epochs": 1, "min_steps": 0},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    return tmp_path / "run.yaml"


def test_what_is_measured_is_in_no_part_of_the_run(file: Path) -> None:
    config, measured = divided(load_config(file))
    items = {item.comparison.id for each in measured for item in read_labeled(each, OnBadRow.FAIL)[0]}
    data = load_data(config)
    learnt = {item.comparison.id for item in data.seed} | {each.id for each in data.pool}
    assert len(data.seed) == 8
    assert 30 < len(items) < 80 < len(learnt)
    assert not items & learnt
    assert not items & {item.comparison.id for item in data.gold}


def test_different_stretches_of_the_seed_are_refused_and_pools_behind_the_cut_left_out(file: Path) -> None:
    config = changed(load_config(file), ["data.pool=[{path: lab:unlabeled, part: [0.8, 1]}, lab:unlabeled]"])
    assert [source.part for source in divided(config)[0].data.pool] == [(0.0, pytest.approx(0.63))]
    config = changed(load_config(file), ["data.seed=[{path: lab:labeled, part: [0, 0.5]}, lab:labeled]"])
    with pytest.raises(ConfigError, match="different parts"):
        divided(config)


def test_a_setting_is_changed_at_its_key(file: Path) -> None:
    config = changed(load_config(file), ["training.epochs=2", "rounds=0", "warmup.epochs=1"])
    assert (config.training.epochs, config.rounds) == (2, 0)
    assert config.warmup is not None
    with pytest.raises(ConfigError, match="unknown key, did you mean epochs"):
        changed(load_config(file), ["training.epoch=2"])
    with pytest.raises(ConfigError, match="has no value"):
        changed(load_config(file), ["rounds"])
    with pytest.raises(ConfigError, match="seed is a list"):
        changed(load_config(file), ["data.seed.limit=3"])
    with pytest.raises(ConfigError, match=r"'\[1' is not YAML"):
        changed(load_config(file), ["rounds=[1"])


def test_pseudo_labels_are_held_against_the_labels_that_the_run_did_not_look_at(tmp_path: Path) -> None:
    folder = tmp_path / "cells" / "full-1" / "run" / "rounds" / "1"
    folder.mkdir(parents=True)
    rows = [("a", "A", False), ("b", "A", False), ("c", "A", True), ("d", "A", False), ("e", "A", False)]
    keys = ("id", "label", "swapped")
    (folder / "kept.jsonl").write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows))
    truth = {name: Label(label) for name, label in {"a": "A", "b": "B", "c": "B", "d": "tie"}.items()}
    assert right_of_kept(tmp_path, "full", truth) == pytest.approx(2 / 3)
    assert right_of_kept(tmp_path, "seed-only", truth) is None


class Done:
    """A process that has ended."""

    returncode = 0

    def poll(self) -> int:
        return 0


def test_the_table_names_what_was_set_and_what_came_out(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(folder: Path) -> Done:
        assert run_cell(folder) == 0
        return Done()

    monkeypatch.setattr(runner, "_start", start)
    monkeypatch.setattr("gramr2.research.ablation.runner.time.sleep", lambda _: None)
    out = tmp_path / "out"
    command = [str(file), "--variants", "longer,bag-of-words", "--reference", "longer", "--out", str(out)]
    assert main([*command, "--set", "rounds=0", "--seeds", "2"]) == 0
    told = capsys.readouterr().out
    assert "| longer | 2 |" in told
    assert "set: rounds=0" in told
    assert (out / "table.md").read_text() in told
    assert main([*command, "--variants", "longest"]) == ConfigError.exit_code
    assert "--variants 'longest' is not known: take some of full, seed-only" in capsys.readouterr().err
