"""Baselines behind ``--model``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.config import parse_config
from gramr2.evaluation.log import read_log
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    data = {"seed": {"path": "starter:labeled", "limit": 30}, "gold": {"path": "starter:gold", "limit": 12}}
    SelfTraining(parse_config({"model": "none", "data": data, "rounds": 0}), folder, engine=ScriptedEngine()).run()
    return folder


def test_eval_of_a_runs_baseline_says_what_the_run_said(cli, run: Path) -> None:
    gold = run / "rounds/0/gold.jsonl"
    rows = [json.loads(line) for line in gold.read_text().splitlines()]
    file = run.parent / "gold.jsonl"
    file.write_text("".join(json.dumps(row | {"label": row["truth"], "rationale": None}) + "\n" for row in rows))
    code, text, _ = cli("eval", "-m", f"bag-of-words:{run}", "-b", str(file), "--json")
    assert code == 0
    result, known = json.loads(text), json.loads((run / "baselines.json").read_text())["bag-of-words"]
    assert {key: result[key] for key in known["gold"]} == known["gold"]
    assert result["model"] == known["id"]
    assert (result["vote_coverage"], result["order_flip_rate"]) == (None, 0)
    code, text, _ = cli("eval", "-m", "longer", "-b", "starter:gold")
    assert code == 0
    assert "decided 244 of 244, order flips 0.0 %" in text


def test_where_a_judge_says_tie_its_accuracy_without_ties_is_told_too(cli, run: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (run / "rounds/0/gold.jsonl").read_text().splitlines()]
    file = tmp_path / "gold.jsonl"
    file.write_text("".join(json.dumps(row | {"label": row["truth"]}) + "\n" for row in rows if row["truth"] != "tie"))
    baseline = run / "baselines" / "bag-of-words" / "baseline.json"
    told, out = json.loads(baseline.read_text()), tmp_path / "e"
    baseline.write_text(json.dumps(told | {"tie_margin": 2.0}))
    try:
        code, text, _ = cli("eval", "-m", f"bag-of-words:{run}", "-b", file, "-o", out)
    finally:
        baseline.write_text(json.dumps(told))
    assert (code, "ties 100.0 %" in text) == (0, True)
    found = read_log(out)
    assert found.summary.result["accuracy"] == 0
    likelier = [max("AB", key=(item.probabilities or {}).__getitem__) == item.expected for item in found.items]
    assert found.summary.measures["without_ties"]["accuracy"] == sum(likelier) / len(likelier) > 0
    sentence = f"accuracy without ties {100 * sum(likelier) / len(likelier):.1f} %"
    assert sentence in text
    assert cli("view", out)[0] == 0
    assert sentence.capitalize() in " ".join((out / "view.html").read_text().split())


def test_judge_writes_decisions_without_votes(cli, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    for model in ("longer", f"bag-of-words:{run}"):
        code, text, _ = cli("judge", "-m", model, "-d", "starter:gold", "-o", str(out), "--limit", "5")
        assert (code, "5 of 5 decided" in text) == (0, True)
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert len(rows) == 5
        assert all(row["votes"] == [] and row["agreement"] is None and row["order_flip"] is False for row in rows)
        assert all(row["confidence"] == row["probabilities"][row["label"]] for row in rows)


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        ("judge", ("--votes", "2"), "--votes does not apply to the baseline longer"),
        ("judge", ("--mode", "label"), "--mode does not apply"),
        ("judge", ("--orders", "first"), "--orders does not apply"),
        ("judge", ("--on-overlong", "drop"), "--on-overlong does not apply"),
        ("judge", ("--verdict", "direct"), "--verdict does not apply"),
        ("eval", ("--verdict", "both"), "--verdict does not apply"),
        ("eval", ("--probe",), "--probe does not apply"),
        ("eval", ("--temperature", "0.5"), "--temperature does not apply"),
        ("eval", ("--max-new-tokens", "7"), "--max-new-tokens does not apply"),
        ("eval", ("--close",), "--close does not apply"),
    ],
)
def test_flags_of_a_judge_are_refused_by_name(
    cli, command: str, words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    where = ("-d", "starter:gold", "-o", str(tmp_path / "x")) if command == "judge" else ("-b", "starter:gold")
    code, _, err = cli(command, "-m", "longer", *where, *words)
    assert code == 2
    assert sentence in err
    assert cli(command, "-m", "longer", *where)[0] == 0


def test_it_ranks_and_scores_and_nothing_that_takes_words(cli, tmp_path: Path) -> None:
    file = tmp_path / "sets.jsonl"
    file.write_text(json.dumps({"id": "1", "prompt": "p", "responses": ["a", "b", "c"]}) + "\n")
    out = tmp_path / "o"
    assert cli("rank", "-m", "longer", "-d", str(file), "-o", str(out))[0] == 0
    assert json.loads(out.read_text())["id"] == "1"
    file.write_text(json.dumps({"id": "1", "prompt": "p", "response": "aa", "reference": "b"}) + "\n")
    assert cli("score", "-m", "longer", "-d", str(file), "-o", str(out))[0] == 0
    assert json.loads(out.read_text())["score"] == 1.0
    for words in (("score", "-d", str(file), "-o", str(out), "--by", "rationale"), ("serve", "--port", "0")):
        code, _, err = cli(*words, "-m", "longer")
        assert (code, "longer is a baseline, which works only with gramr2 judge, rank, eval and score" in err) == (
            2,
            True,
        )
    code, _, err = cli("eval", "-m", "frozen-features", "-b", "starter:gold")
    assert (code, "give --model frozen-features:RUN" in err) == (2, True)
