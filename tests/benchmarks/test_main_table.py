"""The main table: who is in it, what a domain has, that a figure is made once, and what the table says of a single seed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from main_table import LABELS, REASONED, SCALAR, Domain, main, write

from gramr2.config import load_config
from gramr2.errors import ConfigError, DataError
from gramr2.research.lab.run import run_file


def source(path: Path, name: str, count: int) -> str:
    """Comparisons whose better response is the one with «good» in it."""
    texts = [f"a good answer to {name}", "a bad one"]
    rows = [
        {"id": f"{name}-{i}", "prompt": f"{name} {i}?", "responses": texts[:: 1 if i % 2 else -1], "label": "BA"[i % 2]}
        for i in range(count)
    ]
    file = path / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.fixture
def domain(tmp_path: Path, tiny_model: Path) -> Domain:
    """Verdicts alone on a random model, one round."""
    run: dict[str, Any] = {
        "model": str(tiny_model),
        "data": {name: source(tmp_path, name, count) for name, count in (("seed", 8), ("pool", 6), ("gold", 6))},
        "judge": {"mode": "label", "pool": {"votes": 1, "temperature": 0}},
        "training": {"epochs": 1, "min_steps": 0, "batch_size": 8},
        "rounds": 1,
        "guards": {"on_worse": "accept"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    given = argparse.Namespace(out=tmp_path / "out", limit=5, sets=2)
    task = source(tmp_path, "task", 70), source(tmp_path, "measured", 9)
    return Domain("text", load_config(tmp_path / "run.yaml"), source(tmp_path, "test", 12), task, given)


def test_who_is_in_it(domain: Domain) -> None:
    lab = Domain("lab", load_config(run_file()), "lab:test", None, domain.given)
    assert lab.models == (REASONED, LABELS, SCALAR)
    assert [lab.config(name, 2).judge.mode for name in lab.models] == ["reason", "label", "reason"]
    assert all(lab.config(name, 2).seed == 2 for name in lab.models)
    # What the run is already is not changed into what it is.
    assert domain.models == (LABELS, SCALAR)
    assert domain.config(LABELS, 1).rounds == 1


def test_what_text_does_not_have(domain: Domain) -> None:
    assert domain.measured("first", SCALAR, 1) == domain.measured("rlhf", LABELS, 1) == []
    domain.task = None
    assert domain.measured("adapting", SCALAR, 1) == []


@pytest.mark.slow
def test_a_figure_is_made_once(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {name: domain.measured("pairs", name, 1) for name in domain.models}
    assert [(row["measure"], row["n"]) for rows in found.values() for row in rows] == [("pairs", 5)] * 2
    adapted = domain.measured("adapting", SCALAR, 1) + domain.measured("adapting", LABELS, 1)
    assert [row["measure"] for row in adapted] == ["adapting-0", "adapting-16", "adapting-64"] * 2
    assert all(row["n"] == 5 and 0 <= row["value"] <= 1 for row in adapted)

    def refuse(*_: Any) -> Any:
        raise AssertionError("measured a second time")

    monkeypatch.setattr(Domain, "_pairs", refuse)
    assert {name: domain.measured("pairs", name, 1) for name in domain.models} == found
    domain.given.limit = 4
    with pytest.raises(ConfigError, match="other settings"):
        domain.measured("pairs", SCALAR, 1)
    domain.given.limit = 5
    again = Domain("text", domain.base, domain.task[1] if domain.task else "", domain.task, domain.given)
    with pytest.raises(ConfigError, match="other settings, data or weights"):
        again.measured("pairs", SCALAR, 1)


def test_the_task_must_not_hold_what_measures_it(domain: Domain, tmp_path: Path) -> None:
    both = source(tmp_path, "both", 20)
    with pytest.raises(DataError, match="are also in"):
        Domain("text", domain.base, str(tmp_path / "test.jsonl"), (both, both), domain.given)


def test_table(tmp_path: Path) -> None:
    row = {"domain": "lab", "model": SCALAR, "measure": "pairs", "seed": 1, "n": 100, "value": 0.5}
    assert "| lab | bradley-terry | 50.0 % (40.4 to 59.6) * |" in write([row], tmp_path)
    rows = [row, row | {"seed": 2, "value": 0.6}, row | {"model": LABELS, "measure": "rlhf", "value": 0.25}]
    text = write(rows, tmp_path)
    assert "| lab | bradley-terry | 55.0 % (0.0 to 100.0) | – |" in text
    assert "| lab | verdict-alone | – | 25.0 % (17.5 to 34.3) * |" in text
    assert "pairs: n = 100, policy after GRPO: n = 100" in text
    assert (tmp_path / "main_table.csv").read_text().splitlines()[1] == "lab,bradley-terry,pairs,1,100,0.5"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--tasks", "pears"], "'pears' is not known"),
        (["--text", "run.yaml"], "needs --test"),
        (["--text-only"], "needs --text"),
        (["--task", "a.jsonl"], "go together"),
    ],
)
def test_refuses(asked: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "out"), *asked]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
