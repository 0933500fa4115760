"""The method's switches in whole runs on scripted judges: proving, curriculum, gate, calibration, the final stage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes
from test_loop import config, rows

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Label
from gramr2.config.method import ProvingConfig
from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.evaluation.probes import interventions
from gramr2.files import write_jsonl
from gramr2.judging.proving import PROOF_OPENING
from gramr2.judging.records import labeled_row
from gramr2.judging.scripted import verdict_text
from gramr2.judgment import FinishReason
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import Script, ScriptedEngine, longer

LENIENT = [{"kind": "confidence", "threshold": 0.5, "calibrate": False}]


def run(path: Path, engine: ScriptedEngine | None = None, **changes: Any) -> tuple[list[dict[str, Any]], list[str]]:
    observer = Notes()
    metrics = [
        each.row()
        for each in SelfTraining(config(**changes), path, engine=engine or ScriptedEngine(), observer=observer).run()
    ]
    return metrics, observer.notes


def shorter(request: GenerationRequest, seed: int) -> Completion | str:
    """Says the opposite of ``longer``, and so is wrong where that is right."""
    given = longer(request, seed)
    text = (
        given.text.replace("<answer>A", "<answer>X").replace("<answer>B", "<answer>A").replace("<answer>X", "<answer>B")
    )
    return replace(given, text=text, label_logprobs=None)


def gold_by_length(path: Path) -> dict[str, Any]:
    """Gold whose longer response is the better one, so that ``longer`` is right and ``shorter`` wrong on all of it."""
    items = [i for i in load_labeled("starter:gold")[0] if len(set(map(len, i.comparison.responses))) == 2][:20]
    truth = [Label.A if len(i.comparison.responses[0]) > len(i.comparison.responses[1]) else Label.B for i in items]
    write_jsonl(path, (labeled_row(replace(i, label=t)) for i, t in zip(items, truth, strict=True)))
    return {
        "seed": {"path": "starter:labeled", "limit": 6},
        "pool": {"path": "starter:unlabeled", "limit": 20},
        "gold": str(path),
    }


def test_a_significantly_worse_judge_is_rolled_back_and_the_run_stops(tmp_path: Path) -> None:
    data = gold_by_length(tmp_path / "gold.jsonl")
    scripts: dict[str, Script] = {"2": shorter}
    engine = ScriptedEngine(scripts=scripts)
    metrics, notes = run(tmp_path / "r", engine, data=data, rounds=4, filters=LENIENT)
    assert [m.get("verdict") for m in metrics] == [None, "accepted", "rolled back"]
    assert metrics[2]["change"]["p_value"] < 0.05
    assert any("rolled back" in note for note in notes)
    published = json.loads((tmp_path / "r/judge/config.json").read_text())
    assert published == json.loads((tmp_path / "r/rounds/1/model/config.json").read_text())
    assert rows(tmp_path / "r/metrics.jsonl") == metrics


def test_after_a_roll_back_the_thresholds_tighten_and_its_data_do_not_count(tmp_path: Path) -> None:
    data = gold_by_length(tmp_path / "gold.jsonl")
    engine = ScriptedEngine(scripts={"1": shorter})
    changes: dict[str, Any] = {"data": data, "rounds": 3, "filters": LENIENT, "guards": {"on_worse": "tighten"}}
    metrics, _ = run(tmp_path / "r", engine, **changes)
    assert [m.get("verdict") for m in metrics] == [None, "rolled back", "accepted", "accepted"]
    assert [m["thresholds"]["confidence.threshold"] for m in metrics[1:]] == [0.5, 0.75, 0.75]
    kept = {row["id"] for row in rows(tmp_path / "r/rounds/2/kept.jsonl")}
    assert {item.comparison.id for item in engine.jobs[2].items[6:]} == kept
    assert kept < {row["id"] for row in rows(tmp_path / "r/rounds/1/kept.jsonl")}
    # Round 2 labels with the seed judge again, not with the one that was rolled back.
    assert metrics[2]["labels"] == metrics[1]["labels"]


def test_the_worse_judge_stays_when_the_gate_is_off(tmp_path: Path) -> None:
    data = gold_by_length(tmp_path / "gold.jsonl")
    engine = ScriptedEngine(scripts={"1": shorter})
    metrics, _ = run(tmp_path / "r", engine, data=data, filters=LENIENT, guards={"on_worse": "accept"})
    assert metrics[1]["verdict"] == "accepted"
    assert metrics[1]["gold"]["accuracy"] == 0


def proofs_in(run_folder: Path) -> list[dict[str, Any]]:
    answers = rows(run_folder / "journal/answers.jsonl")
    return [row for row in answers if row.get("text", "").startswith(PROOF_OPENING)]


def test_proofs_for_labels_and_for_a_seed_without_rationales(tmp_path: Path) -> None:
    items = load_labeled("starter:labeled")[0][:8]
    write_jsonl(
        tmp_path / "seed.jsonl",
        (labeled_row(replace(x, rationale=None if i % 2 else x.rationale)) for i, x in enumerate(items)),
    )
    data = {
        "seed": str(tmp_path / "seed.jsonl"),
        "pool": {"path": "starter:unlabeled", "limit": 12},
        "gold": "starter:gold",
    }
    engine = ScriptedEngine()
    proving = {"source": "proving", "proving": {"proofs": 3, "min_tokens": 3, "training": {"epochs": 7}}}
    metrics, _ = run(tmp_path / "r", engine, data=data, rationale=proving, filters=LENIENT)
    prover, seed_judge, first = engine.jobs
    assert [item.comparison.id for item in prover.items] == [x.comparison.id for x in items[::2]]
    assert (prover.training.epochs, seed_judge.training.epochs) == (7, 3)
    assert all(item.rationale for item in seed_judge.items)
    assert [item.rationale for item in seed_judge.items[::2]] == [x.rationale for x in items[::2]]
    kept = rows(tmp_path / "r/rounds/1/kept.jsonl")
    assert metrics[1]["rationales"]["source"] == "proving"
    assert kept
    for row in kept:
        verdict = "Neither response" if row["label"] == "tie" else f"Response {row['label']}"
        assert row["rationale"].endswith(f"Conclusion: {verdict} is better.")
        assert row["measures"]["proof_score"] <= 0
        assert 1 <= row["measures"]["proofs"] <= 3
    proofs = proofs_in(tmp_path / "r")
    assert len({row["text"] for row in proofs}) > 1
    # The chosen proof has the best score of those that are long enough and ended by themselves.
    assert {row["finish_reason"] for row in proofs} == {"stop", "length"}
    assert len(first.items) == 8 + len(kept)


def test_a_seed_without_rationales_learns_the_models_own_where_a_vote_reaches_the_label(tmp_path: Path) -> None:
    items = [item for item in load_labeled("starter:labeled")[0] if item.label is not Label.TIE][:12]
    bare = [replace(item, rationale=None if i else item.rationale) for i, item in enumerate(items)]
    write_jsonl(tmp_path / "seed.jsonl", map(labeled_row, bare))
    data = {"seed": str(tmp_path / "seed.jsonl"), "pool": [], "gold": "starter:gold"}
    engine = ScriptedEngine()
    _, notes = run(tmp_path / "r", engine, data=data, rounds=0, rationale={"own_for_seed": 2})
    learnt = {item.comparison.id: item for item in engine.jobs[0].items}
    by_length = {
        item.comparison.id: (
            Label.A if len(item.comparison.responses[0]) >= len(item.comparison.responses[1]) else Label.B
        )
        for item in bare
    }
    reached = [item for item in bare[1:] if by_length[item.comparison.id] is item.label]
    assert 0 < len(reached) < 11
    for item in bare[1:]:
        taught = learnt[item.comparison.id]
        assert (taught.rationale is not None) == (item in reached)
        assert taught.label is item.label and taught.comparison == item.comparison
    assert learnt[bare[0].comparison.id] == bare[0]
    assert any(f"for {11 - len(reached)} of 11 seed comparisons" in note for note in notes)
    again = ScriptedEngine()
    SelfTraining(config(data=data, rounds=0, rationale={"own_for_seed": 2}), tmp_path / "r", engine=again).run()
    assert again.asked == 0 and not again.jobs


def test_short_proofs_are_not_eligible_and_their_comparisons_are_dropped(tmp_path: Path) -> None:
    proving = {"source": "proving", "proving": {"min_tokens": 1000}}
    metrics, notes = run(tmp_path / "r", rationale=proving, filters=[{"kind": "confidence", "threshold": 0.75}])
    assert metrics[1]["verdict"] == "skipped"
    dropped = metrics[1]["pool"]["dropped"]
    assert list(dropped) == ["confidence", "unproven"]
    assert any("nothing is trained" in note for note in notes)
    unproven = [row for row in rows(tmp_path / "r/rounds/1/dropped.jsonl") if row["filter"] == "unproven"]
    assert unproven
    assert len(proofs_in(tmp_path / "r")) == len(unproven) * ProvingConfig().proofs


@pytest.mark.parametrize("trained", [True, False])
def test_only_a_model_that_nobody_taught_to_conclude_may_prove_without_a_conclusion(
    tmp_path: Path, trained: bool
) -> None:
    def lost(request: GenerationRequest, seed: int) -> Completion:
        found = longer(request, seed)
        return (
            replace(found, text=found.text.partition("\nConclusion:")[0]) if request.prefill == PROOF_OPENING else found
        )

    proving = {"source": "proving", "proving": {"min_tokens": 3, "train": trained}}
    metrics, _ = run(tmp_path / "r", ScriptedEngine(lost), rationale=proving, filters=LENIENT)
    kept = metrics[1]["pool"]["kept"]
    assert (kept == 0 and metrics[1]["pool"]["dropped"]["unproven"] > 0) if trained else kept > 0


@pytest.mark.parametrize("place", ["rationale", "final"])
def test_stages_that_learn_from_rationales_say_when_there_are_none(tmp_path: Path, place: str) -> None:
    bare = (labeled_row(replace(x, rationale=None)) for x in load_labeled("starter:labeled")[0][:8])
    write_jsonl(tmp_path / "seed.jsonl", bare)
    data = {"seed": str(tmp_path / "seed.jsonl"), "pool": "starter:unlabeled", "gold": "starter:gold"}
    changes: dict[str, Any] = {"rationale": "proving"} if place == "rationale" else {"final": {}}
    with pytest.raises(DataError, match=r"learns from rationales, but the seed has none: name .*\.data"):
        run(tmp_path / "r", data=data, **changes)


def test_every_round_takes_a_fresh_slice_until_the_pool_is_used_up(tmp_path: Path) -> None:
    metrics, notes = run(tmp_path / "r", rounds=4, filters=LENIENT, curriculum={"per_round": 8})
    assert [m["pool"]["judged"] for m in metrics] == [0, 8, 8, 4, 0]
    slices = [set(json.loads((tmp_path / f"r/rounds/{n}/slice.json").read_text())) for n in range(1, 5)]
    assert len(set.union(*slices)) == 20
    assert metrics[4]["verdict"] == "skipped"
    assert any("the pool is used up" in note for note in notes)
    again = SelfTraining(
        config(rounds=4, filters=LENIENT, curriculum={"per_round": 8}), tmp_path / "s", engine=ScriptedEngine()
    )
    again.run()
    assert json.loads((tmp_path / "s/rounds/1/slice.json").read_text()) == json.loads(
        (tmp_path / "r/rounds/1/slice.json").read_text()
    )


def test_easy_comparisons_come_first(tmp_path: Path) -> None:
    run(tmp_path / "r", rounds=2, filters=LENIENT, curriculum={"per_round": 6, "order": "easy_first"})
    confidence = {
        row["id"]: row["confidence"]
        for n in (1, 2)
        for name in ("kept", "dropped")
        for row in rows(tmp_path / f"r/rounds/{n}/{name}.jsonl")
    }
    first, second = (json.loads((tmp_path / f"r/rounds/{n}/slice.json").read_text()) for n in (1, 2))
    assert min(confidence[name] for name in first) >= max(confidence[name] for name in second)


def test_confidence_is_calibrated_on_held_out_seed_comparisons(tmp_path: Path) -> None:
    data = {"seed": "starter:labeled", "pool": {"path": "starter:unlabeled", "limit": 20}, "gold": "starter:gold"}
    engine = ScriptedEngine()
    filters = [{"kind": "confidence", "threshold": 0.5}]
    metrics, notes = run(tmp_path / "r", engine, data=data, filters=filters)
    calibration, labelled = metrics[1]["calibration"], len(load_labeled("starter:labeled")[0])
    assert calibration["n"] == round(0.15 * labelled)
    assert len(engine.jobs[0].items) == labelled - calibration["n"]
    # Being the longer response says little about being the better one, so such confidence has to come down.
    assert calibration["temperature"] > 1
    kept = rows(tmp_path / "r/rounds/1/kept.jsonl")
    assert all(
        row["confidence"] < row["probabilities"]["B" if row["swapped"] == (row["label"] == "A") else "A"]
        for row in kept
    )
    plain, notes = run(tmp_path / "s", filters=filters)
    assert plain[1]["calibration"] is None
    assert any("confidence is not calibrated: this needs 16 held-out" in note for note in notes)


def test_the_final_stage_learns_from_people_and_is_gated_too(tmp_path: Path) -> None:
    data = gold_by_length(tmp_path / "gold.jsonl")
    engine = ScriptedEngine()
    metrics, _ = run(tmp_path / "r", engine, data=data, filters=LENIENT, final={"training": {"epochs": 1}})
    assert [m["stage"] for m in metrics] == ["seed", "round", "final"]
    start, items = engine.trained[2]
    assert start == tmp_path / "r/rounds/1/model"
    assert len(items) == 6
    assert engine.jobs[2].training.epochs == 1
    assert (tmp_path / "r/judge/config.json").read_text() == (tmp_path / "r/rounds/2/model/config.json").read_text()
    worse, _ = run(tmp_path / "s", ScriptedEngine(scripts={"2": shorter}), data=data, filters=LENIENT, final={})
    assert worse[2]["verdict"] == "rolled back"
    assert (tmp_path / "s/judge/config.json").read_text() == (tmp_path / "s/rounds/1/model/config.json").read_text()


def test_faithfulness_is_probed_when_asked(tmp_path: Path) -> None:
    metrics, _ = run(tmp_path / "r", guards={"faithfulness": 10}, judge={"verdict": "reasoned"})
    assert set(metrics[0]["faithfulness"]) == {"untouched", *interventions()}
    assert metrics[0]["faithfulness"]["removed"]["n"] == 10


def test_labels_alone(tmp_path: Path) -> None:
    def labels(request: GenerationRequest, seed: int) -> Completion:
        given = longer(request, seed)
        return Completion(f"<answer>{given.text.partition('<answer>')[2]}", FinishReason.STOP, given.label_logprobs)

    engine = ScriptedEngine(labels)
    metrics, _ = run(tmp_path / "r", engine, judge={"mode": "label"}, filters=LENIENT)
    kept = rows(tmp_path / "r/rounds/1/kept.jsonl")
    assert metrics[1]["rationales"] == {"source": "none", "kept": 0, "mean_words": None}
    assert kept
    assert all(row["rationale"] is None for row in kept)


def test_a_round_may_hold_only_ties(tmp_path: Path) -> None:
    engine = ScriptedEngine(
        lambda request, seed: verdict_text(Label.TIE, "Response A and Response B are alike in everything.")
    )
    metrics, _ = run(tmp_path / "r", engine, filters=[{"kind": "balance", "max_ties": 0.5}])
    assert metrics[1]["verdict"] == "skipped"
    assert metrics[1]["pool"]["dropped"] == {"balance": 20}
    assert {alarm["kind"] for alarm in metrics[1]["alarms"]} == {"label collapse", "filter drops all"}


def test_the_judge_is_asked_about_rationales_once(tmp_path: Path) -> None:
    def reads(request: GenerationRequest, seed: int) -> Completion | str:
        if "(withheld)" in request.messages[0].content:
            return verdict_text(Label.A)
        return longer(request, seed)

    filters = [
        {"kind": "readback", "min_probability": 0.9},
        {"kind": "pmi", "min_pmi": {"schedule": "quantile", "start": 0.5, "end": 0.5}},
    ]
    reasoned = {"verdict": "reasoned", "pool": {"votes": 2}}
    metrics, _ = run(tmp_path / "r", ScriptedEngine(reads), filters=filters, judge=reasoned)
    dropped = rows(tmp_path / "r/rounds/1/dropped.jsonl")
    wrong = [row for row in dropped if row["filter"] == "readback"]
    # The judge reads A from every rationale, so those that were shown for a B are dropped.
    assert wrong
    assert {(row["value"], row["threshold"]) for row in wrong} == {("A", "B")}
    kept = rows(tmp_path / "r/rounds/1/kept.jsonl")
    assert kept
    assert all(row["label"] == "A" and row["measures"]["readback"] == 1 for row in kept)
    assert all(row["measures"]["pmi"] >= metrics[1]["thresholds"]["pmi.min_pmi"] - 1e-6 for row in kept)
    answers = rows(tmp_path / "r/journal/answers.jsonl")
    (tmp_path / "r/rounds/1/kept.jsonl").unlink()
    (tmp_path / "r/rounds/1/metrics.json").unlink()
    engine = ScriptedEngine(reads)
    assert run(tmp_path / "r", engine, filters=filters, judge=reasoned)[0] == metrics
    assert engine.asked == 0
    assert rows(tmp_path / "r/journal/answers.jsonl") == answers


def test_a_journal_of_an_older_version_is_named_where_its_answers_are_asked_again(tmp_path: Path) -> None:
    journal = tmp_path / "r/journal/answers.jsonl"
    _, notes = run(tmp_path / "r")
    assert not any("older version" in note for note in notes)
    journal.rename(journal.with_name("judgments.jsonl"))
    _, notes = run(tmp_path / "r")
    assert any("judgments.jsonl: an older version wrote it" in note for note in notes)
