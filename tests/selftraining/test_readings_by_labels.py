"""Where a run has held-out labels, they say which reading of the verdict is trusted and what each counts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_loop import rows
from test_method import run
from test_readings_of_a_run import first_when_direct, first_when_reasoning, judge, read

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Label
from gramr2.data import load_labeled
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import load_template
from gramr2.judging.scripted import verdict_text
from gramr2.judgment import FinishReason
from gramr2.testing import ScriptedEngine, longer

NONE = [{"kind": "confidence", "threshold": 0.0, "calibrate": False}]


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """Seeds whose longer response is the better one, half of them held out."""
    items = [i for i in load_labeled("starter:labeled")[0] if len(set(map(len, i.comparison.responses))) == 2][:40]
    truth = [Label.A if len(i.comparison.responses[0]) > len(i.comparison.responses[1]) else Label.B for i in items]
    write_jsonl(tmp_path / "seed.jsonl", (labeled_row(replace(i, label=t)) for i, t in zip(items, truth, strict=True)))
    pool, gold = {"path": "starter:unlabeled", "limit": 20}, {"path": "starter:gold", "limit": 10}
    held_out = {"held_out_share": 0.5, "hold_out": "always"}
    return {"seed": str(tmp_path / "seed.jsonl"), "pool": pool, "gold": gold, **held_out}


@pytest.mark.parametrize(
    ("script", "better", "words"),
    [(first_when_reasoning, "direct", "read directly"), (first_when_direct, "reasoned", "after the rationale")],
)
def test_auto_takes_the_reading_that_labels_favour(
    script: Any, better: str, words: str, data: dict[str, Any], tmp_path: Path
) -> None:
    metrics, notes = run(tmp_path / "r", ScriptedEngine(script), judge=judge("auto"), rounds=1, data=data, filters=NONE)
    found = read(tmp_path / "r")
    assert [name for name, weight in found["weights"].items() if weight > 0] == [better]
    other = next(name for name in ("direct", "reasoned") if name != better)
    assert (found["fits"][better]["accuracy"], found["fits"][other]["accuracy"]) == (1, 0)
    assert found["fits"][better]["n"] == 20
    assert any(words in note and "on 20 held-out seed comparisons" in note for note in notes)
    later = read(tmp_path / "r", 1)
    assert later["why"] == "as for the seed judge"
    assert {name for name, weight in later["weights"].items() if weight > 0} == {better}
    assert [row["verdict_read"] for row in metrics] == [found, later]


def test_both_are_weighed_and_the_judge_takes_the_weights_along(data: dict[str, Any], tmp_path: Path) -> None:
    run(tmp_path / "r", ScriptedEngine(first_when_direct), judge=judge("both"), rounds=1, data=data, filters=NONE)
    first, second = read(tmp_path / "r"), read(tmp_path / "r", 1)
    assert first["weights"]["reasoned"] > first["weights"]["direct"] >= 0
    assert second["fits"]["both"]["n"] == 20
    readings = load_template(tmp_path / "r" / "judge").readings
    assert {"direct": readings.direct, "reasoned": readings.reasoned} == second["weights"]


def misleads(request: GenerationRequest, seed: int) -> Completion | str:
    """Sure of the shorter response, in both readings."""
    label = Label.B if "<answer>A" in longer(request, seed).text else Label.A
    logprobs = {each.value: math.log(0.9 if each is label else 0.05) for each in Label}
    return Completion(verdict_text(label, "Response A and Response B differ."), FinishReason.STOP, logprobs)


@pytest.mark.parametrize(("verdict", "weights"), [("auto", (1.0, 0.0)), ("both", (1.0, 1.0))])
def test_readings_that_mislead_are_read_all_the_same(
    verdict: str, weights: tuple[float, float], data: dict[str, Any], tmp_path: Path
) -> None:
    run(tmp_path / "r", ScriptedEngine(misleads), judge=judge(verdict), rounds=0, data=data)
    found = read(tmp_path / "r")
    assert all(sum(fit["weights"].values()) == 0 for fit in found["fits"].values())
    assert tuple(found["weights"].values()) == weights
    assert load_template(tmp_path / "r" / "judge").readings.asked


@pytest.mark.parametrize(
    ("changes", "weights", "why"),
    [
        ({"judge": judge("reasoned")}, (0, 1), "judge.verdict: reasoned"),
        ({"judge": judge("direct")}, (1, 0), "judge.verdict: direct"),
        ({"judge": judge("both")}, (1, 1), "weights need 16 held-out seed comparisons"),
        ({"judge": judge("auto", mode="label")}, (1, 0), "the judge writes no rationales"),
        ({"training": {"verdict": {"weight": 0}}}, (0, 1), "the direct reading is not trained"),
    ],
)
def test_what_needs_no_labels_says_why(
    changes: dict[str, Any], weights: tuple[float, float], why: str, tmp_path: Path
) -> None:
    run(tmp_path / "r", rounds=0, filters=[], **changes)
    assert tuple(read(tmp_path / "r")["weights"].values()) == weights
    assert why in read(tmp_path / "r")["why"]


def test_a_resumed_run_reads_as_it_did(tmp_path: Path) -> None:
    engine = ScriptedEngine(first_when_reasoning)
    metrics, _ = run(tmp_path / "r", engine, judge=judge("auto"), rounds=0)
    asked = engine.asked
    for gone in ("rounds/0/metrics.json", "rounds/0/readings.json"):
        (tmp_path / "r" / gone).unlink()
    again = ScriptedEngine(first_when_reasoning)
    assert run(tmp_path / "r", again, judge=judge("auto"), rounds=0)[0] == metrics
    assert asked > 0 == again.asked


def test_a_run_without_rationales_on_gold_says_that_it_cannot_probe_them(tmp_path: Path) -> None:
    probed: dict[str, Any] = {"guards": {"faithfulness": 5}, "rounds": 0}
    metrics, notes = run(tmp_path / "r", judge=judge("direct"), **probed)
    assert "faithfulness" not in metrics[0]
    assert any("guards.faithfulness needs two rationales, and gold has fewer" in note for note in notes)
    metrics, notes = run(tmp_path / "s", judge=judge("both"), **probed)
    assert metrics[0]["faithfulness"]["removed"]["n"] == 5
    assert not any("guards.faithfulness" in note for note in notes)


@pytest.mark.parametrize(("verdict", "turned"), [("direct", 1), ("reasoned", 0)])
def test_a_second_view_turns_labels(verdict: str, turned: int, tmp_path: Path) -> None:
    """A label that it turned is no vote's: read directly it is learnt without a rationale, else it is dropped."""
    view = {"name": "bag-of-words", "weight": 3.0}
    run(tmp_path / "r", judge=judge(verdict), rounds=1, filters=NONE, second_view=view)
    run(tmp_path / "s", judge=judge(verdict), rounds=1, filters=NONE)
    with_view, alone = (rows(tmp_path / name / "rounds/1/kept.jsonl") for name in ("r", "s"))
    before = {row["id"]: row["label"] for row in alone}
    moved = [row for row in with_view if before[row["id"]] != row["label"]]
    assert bool(moved) == bool(turned)
    assert all(row["rationale"] is None and row["agreement"] == 0 for row in moved)
    lost = {row["id"] for row in rows(tmp_path / "r/rounds/1/dropped.jsonl")}
    assert bool(lost) != bool(turned)
    assert {row["filter"] for row in rows(tmp_path / "r/rounds/1/dropped.jsonl")} <= {"abstained"}
    # Left to the filter, it turns none.
    run(tmp_path / "t", judge=judge(verdict), rounds=1, filters=NONE, second_view=view | {"weight": 0})
    assert {row["id"]: row["label"] for row in rows(tmp_path / "t/rounds/1/kept.jsonl")} == before
