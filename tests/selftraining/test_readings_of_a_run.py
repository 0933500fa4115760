"""Where a run reads its verdicts, and what it learns from labels that were read directly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_loop import rows
from test_method import run

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Label
from gramr2.data import load_labeled
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import load_options, load_template
from gramr2.judging.scripted import verdict_text
from gramr2.judgment import FinishReason
from gramr2.testing import ScriptedEngine, longer

LENIENT = [{"kind": "confidence", "threshold": 0.5, "calibrate": False}, {"kind": "rationale"}]


def first_when_direct(request: GenerationRequest, seed: int) -> Completion | str:
    """Reasons well, and follows the position where it is asked for the verdict alone."""
    return verdict_text(Label.A) if request.prefill == "<answer>" else longer(request, seed)


def first_when_reasoning(request: GenerationRequest, seed: int) -> Completion | str:
    """The other way round; its rationales are of one word."""
    if request.prefill == "<answer>":
        return longer(request, seed)
    return Completion("<think>\nFeedback: Hm.\n</think>\n<answer>A</answer>", FinishReason.STOP)


def read(path: Path, number: int = 0) -> dict[str, Any]:
    return dict(json.loads((path / "rounds" / str(number) / "readings.json").read_text()))


def judge(verdict: str, **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "pool": {"votes": 2, "max_new_tokens": 8}, "gold": {"max_new_tokens": 8}, **more}


def test_auto_takes_the_reading_whose_orders_agree(tmp_path: Path) -> None:
    _, notes = run(tmp_path / "a", ScriptedEngine(first_when_direct), judge=judge("auto"), rounds=0)
    assert read(tmp_path / "a")["weights"] == {"direct": 0.0, "reasoned": 1.0}
    assert any("after the rationale" in note and "κ" in note for note in notes)
    _, notes = run(tmp_path / "b", ScriptedEngine(first_when_reasoning), judge=judge("auto"), rounds=0)
    assert read(tmp_path / "b")["weights"] == {"direct": 1.0, "reasoned": 0.0}
    assert any("read directly" in note for note in notes)


def test_the_judge_takes_its_readings_along(tmp_path: Path) -> None:
    run(tmp_path / "r", ScriptedEngine(first_when_reasoning), judge=judge("auto"), rounds=0)
    assert load_template(tmp_path / "r" / "judge").readings.direct == 1


def test_the_judge_takes_the_variables_of_its_chat_template_along(tmp_path: Path) -> None:
    model = {"name": "m", "chat_template_options": {"enable_thinking": False}}
    run(tmp_path / "r", model=model, judge=judge("direct"), rounds=1, filters=[])
    for place in ("judge", "rounds/0/model", "rounds/1/model"):
        assert load_options(tmp_path / "r" / place) == {"enable_thinking": False}


def test_a_direct_label_outlives_its_rationale(tmp_path: Path) -> None:
    """No vote reaches the label, or its rationale is none: the label is learnt without."""
    metrics, _ = run(
        tmp_path / "r", ScriptedEngine(first_when_reasoning), judge=judge("direct"), rounds=1, filters=LENIENT
    )
    kept = load_labeled(str(tmp_path / "r" / "rounds" / "1" / "kept.jsonl"))[0]
    assert len(kept) == metrics[1]["pool"]["kept"] > 0
    assert all(item.rationale is None for item in kept)
    assert metrics[1]["rationales"]["kept"] == 0
    raw = rows(tmp_path / "r" / "rounds" / "1" / "kept.jsonl")
    assert all({vote["reading"] for vote in row["votes"]} == {"direct", "reasoned"} for row in raw)


def test_a_reasoned_label_does_not(tmp_path: Path) -> None:
    metrics, _ = run(
        tmp_path / "r", ScriptedEngine(first_when_reasoning), judge=judge("reasoned"), rounds=1, filters=LENIENT
    )
    assert metrics[1]["pool"]["kept"] == 0


def test_rationales_are_written_for_direct_labels_that_pass(tmp_path: Path) -> None:
    metrics, _ = run(tmp_path / "r", ScriptedEngine(), judge=judge("direct"), rounds=1, filters=LENIENT)
    kept = load_labeled(str(tmp_path / "r" / "rounds" / "1" / "kept.jsonl"))[0]
    assert kept
    assert all(item.rationale for item in kept)
    assert metrics[1]["rationales"]["kept"] == len(kept)


def test_soft_targets_stand_in_the_order_of_the_example(tmp_path: Path) -> None:
    run(
        tmp_path / "r", ScriptedEngine(), judge=judge("direct"), rounds=1, filters=[*LENIENT, {"kind": "balance"}],
        training={"verdict": {"soft": True}},
    )  # fmt: skip
    kept = load_labeled(str(tmp_path / "r" / "rounds" / "1" / "kept.jsonl"))[0]
    assert kept
    for item in kept:
        assert item.target is not None
        assert item.target[[Label.A, Label.B, Label.TIE].index(item.label)] == max(item.target)


def test_both_readings_are_reported(tmp_path: Path) -> None:
    metrics, _ = run(tmp_path / "r", ScriptedEngine(first_when_direct), judge=judge("both"), rounds=0)
    assert set(metrics[0]["gold"]["readings"]) == {"direct", "reasoned"}
    assert metrics[0]["verdict_read"]["weights"] == {"direct": 1.0, "reasoned": 1.0}


@pytest.mark.parametrize(("wanted", "tied", "allowed"), [("auto", 0, False), ("auto", 1, True), (True, 0, True)])
def test_ties_are_a_verdict_where_people_gave_it(tmp_path: Path, wanted: Any, tied: int, allowed: bool) -> None:
    starter = load_labeled("starter:labeled")[0]
    decided = [item for item in starter if item.label is not Label.TIE][:6]
    ties = [item for item in starter if item.label is Label.TIE][:tied]
    write_jsonl(tmp_path / "seed.jsonl", map(labeled_row, [*decided, *ties]))
    data = {"seed": str(tmp_path / "seed.jsonl"), "gold": {"path": "starter:gold", "limit": 6}}
    run(tmp_path / "r", ScriptedEngine(longer), judge=judge("direct", ties=wanted), rounds=0, data=data)
    assert read(tmp_path / "r")["ties"] is allowed
    assert load_template(tmp_path / "r" / "judge").readings.ties is allowed
