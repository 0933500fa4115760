"""``gramr2 score`` as a new user would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "responses.jsonl"
    rows = [
        {"prompt": "Say x.", "response": "xxx", "reference": "xx"},
        {"id": "s", "prompt": "Say x.", "responses": ["x", "xx"], "reference": "xx"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_chance_per_response(cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    code, text, _ = cli("score", "-m", "scripted:longer", "-d", str(data), "-o", str(out))
    assert code == 0
    assert "3 of 3 scored, mean 50.0 %" in text
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["score"]) for row in rows] == [("responses.jsonl:1", 1.0), ("s:0", 0.0), ("s:1", 0.5)]
    assert {row["by"] for row in rows} == {"reference"}


def test_a_model_that_does_not_grade_gives_no_score_but_a_reason(cli, data: Path, tmp_path: Path, monkeypatch) -> None:
    from gramr2.judging import scripted

    monkeypatch.setitem(scripted.SCRIPTS, "mute", lambda request, seed: "no idea")
    out = tmp_path / "scores.jsonl"
    words = ("-m", "scripted:mute", "-d", str(data), "-o", str(out), "--by", "rationale", "--json")
    code, text, error = cli("score", *words)
    assert (code, "none of 3 responses has a score" in error) == (1, True)
    assert json.loads(text)["scored"] == 0
    assert all(
        json.loads(line)["score"] is None and json.loads(line)["reason"] for line in out.read_text().splitlines()
    )


def test_a_row_without_a_reference_is_named(cli, tmp_path: Path) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text('{"id": "b", "prompt": "Say x.", "response": "x"}\n')
    out = tmp_path / "scores.jsonl"
    code, _, error = cli("score", "-m", "scripted:longer", "-d", str(path), "-o", str(out))
    assert code == 2
    assert "b: there is no reference" in error
    assert not out.exists()
    code, _, error = cli("score", "-m", "scripted:longer", "-d", str(path), "-o", str(out), "--by", "feeling")
    assert code == 2
    assert all(word in error for word in ("--by", "'reference'", "'rationale'"))


def test_a_bank_of_references_comes_from_a_file(cli, data: Path, tmp_path: Path) -> None:
    """It goes by prompt, before a row's own reference; a text that stands there twice counts once."""
    bank, out = tmp_path / "bank.jsonl", tmp_path / "scores.jsonl"
    rows = [{"prompt": "Say x.", "responses": ["x", "x", "xxxx"]}, {"prompt": "Say y.", "response": "y"}]
    bank.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("score", "-m", "scripted:longer", "-d", str(data), "-o", str(out), "--references", str(bank))
    code, text, _ = cli(*command)
    assert code == 0, text
    found = {row["id"]: row["score"] for row in map(json.loads, out.read_text().splitlines())}
    assert found == {"responses.jsonl:1": 0.5, "s:0": 0.25, "s:1": 0.5}
    assert f"3 of 3 against {bank}" in text
    assert {row["references"] for row in map(json.loads, out.read_text().splitlines())} == {2}
    with bank.open("a") as file:
        file.write("{}\n")
    code, text, _ = cli(*command, "--on-bad-row", "skip", "--json")
    assert ["bank.jsonl:3" in reason for reason in json.loads(text)["skipped"]] == [True]
    code, _, error = cli(*command, "--by", "rationale")
    assert (code, "--by rationale grades each response by itself" in error) == (2, True)
    bank.write_text(json.dumps(rows[1]) + "\n")
    code, _, error = cli(*command)
    assert (code, "bank.jsonl: it has no response to any of the prompts" in error) == (2, True)


@pytest.mark.slow
def test_a_policy_writes_the_references(cli, tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    path.write_text('{"prompt": "What is 12+13?", "response": "12+13: 2+3=5, 1+1=2, so 25. Indeed."}\n')
    out = tmp_path / "scores.jsonl"
    code, text, _ = cli("score", "-m", "scripted:longer", "-d", str(path), "-o", str(out), "--policy", "lab-tiny")
    assert code == 0, text
    assert json.loads(out.read_text())["score"] == 1.0


def test_scores_are_put_on_the_scale_of_pairwise_verdicts(cli, tmp_path: Path) -> None:
    data, out = tmp_path / "d.jsonl", tmp_path / "scores.jsonl"
    rows = [{"prompt": f"Say {i}.", "responses": ["x", "xx", "xxx", "xxxx"], "reference": "xx"} for i in range(6)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("score", "-m", "scripted:longer", "-d", str(data), "-o", str(out), "--calibrate")
    code, text, _ = cli(*command, "30", "--json")
    assert code == 0
    scale = json.loads(text)["calibration"]
    assert scale["n"] == 30 and scale["agreement"] == 1.0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["strength"] == pytest.approx(scale["slope"] * row["score"], abs=1e-3) for row in found)
    assert (
        "calibrated on 30 pairs: the higher score agrees with the pairwise verdict on 100.0 %" in cli(*command, "30")[1]
    )
    assert "not calibrated: this needs 16 pairs" in cli(*command, "3")[1]
