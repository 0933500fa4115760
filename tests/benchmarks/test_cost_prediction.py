"""A price and what was paid, side by side."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cost_prediction import Watch, compared, main, stage_of


def test_a_plan_and_a_run_name_a_stage_alike() -> None:
    assert stage_of("round 2 · judge 60 unlabelled comparisons") == stage_of("round 1 · judge 8 unlabelled comparisons")
    assert stage_of("score 7 proofs") == "score N proofs"


def test_a_stage_is_clocked_with_what_it_leaves_in_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "answers.jsonl"
    journal.write_text(json.dumps({"prompt_tokens": 99, "completion_tokens": 9}) + "\n")
    watch = Watch(journal)
    with watch.task("round 1 · judge 2 unlabelled comparisons"), journal.open("a") as file:
        file.write(
            json.dumps({"prompt_tokens": 10, "completion_tokens": 3}) + "\n" + json.dumps({"logprob": -1.0}) + "\n"
        )
    (name,) = watch.seconds
    assert dict(watch.tokens[name]) == {"prompt_tokens": 10, "generated_tokens": 3}
    before = {name: {"seconds": 2.0, "prompt_tokens": 12.0}, "train": {"seconds": 1.0, "trained_tokens": 5.0}}
    watch.seconds[name], watch.seconds["words"] = 4.0, 1.0
    rows = compared("run", before, {name: 3.0}, watch)
    assert [row["stage"] for row in rows] == [name, "train", "words", "all"]
    assert (rows[0]["prompt_tokens_predicted"], rows[0]["prompt_tokens_actual"], rows[0]["ratio"]) == (12, 10, 0.5)
    assert (rows[-1]["seconds_predicted"], rows[-1]["seconds_actual"], rows[-1]["ratio"]) == (3.0, 5.0, 0.6)


@pytest.mark.slow
def test_it_prices_a_run_and_does_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "model: tiny-random\nrounds: 0\nbaselines: []\njudge: {mode: label}\ntraining: {epochs: 1, min_steps: 0}\n"
        "data: {seed: {path: 'starter:labeled', limit: 8}, gold: {path: 'starter:gold', limit: 4}}\n"
    )
    main([str(file), "--out", str(tmp_path / "run"), "--csv", str(tmp_path / "p.csv")])
    rows = [*csv.DictReader((tmp_path / "p.csv").read_text(encoding="utf-8").splitlines())]
    assert [row["stage"] for row in rows] == ["train the seed judge", "measure on N gold comparisons", "all"]
    gold, total = rows[1:]
    assert gold["prompt_tokens_predicted"] == gold["prompt_tokens_actual"] != "0"
    assert int(total["trained_tokens_actual"]) == pytest.approx(int(total["trained_tokens_predicted"]), rel=0.02)
    assert "disk: " in capsys.readouterr().out
