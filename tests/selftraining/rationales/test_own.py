"""Rationales that the pretrained model finds for a labelled seed: which votes may teach, and in which order they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes, context

from conftest import labeled
from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import Script
from gramr2.comparison import Label, LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.data import load_labeled
from gramr2.judging.saved import save_template
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import CONCLUSIONS, JudgeTemplate, extract
from gramr2.judgment import DIRECT
from gramr2.selftraining.rationales.own import with_own_rationales
from gramr2.testing import ScriptedEngine

REASON = "Feedback: Response A and Response B were read."


def learnt(
    path: Path, seed: list[LabeledComparison], script: Script, votes: int = 1, **settings: Any
) -> tuple[list[LabeledComparison], ScriptedEngine, Notes]:
    """The seed with rationales of the backbone; any other model says nothing that can be read."""
    engine, observer = ScriptedEngine(lambda request, number: "?", {"none": script}), Notes()
    changes = {"rationale": {"own_for_seed": votes}} | settings
    return with_own_rationales(context(path, engine, observer, seed=seed, settings=changes)), engine, observer


def always(label: Label) -> Script:
    return lambda request, seed: verdict_text(label, REASON)


def never(request: GenerationRequest, seed: int) -> str:
    raise AssertionError("nobody should be asked")


def test_a_seed_that_has_all_its_rationales_is_left_alone(tmp_path: Path) -> None:
    seed = [labeled("x", Label.A, "Feedback: mine."), labeled("y", Label.B, "Feedback: too.")]
    found, _, observer = learnt(tmp_path, seed, never)
    assert found == seed
    assert (observer.titles, observer.notes) == ([], [])
    assert not (tmp_path / "rounds").exists()


def test_a_rationale_stands_in_the_order_it_was_written_for(tmp_path: Path) -> None:
    # A judge that always prefers the first response reaches A in the stored order and B in the exchanged one.
    seed = [labeled("x", Label.A, category="law"), labeled("y", Label.B, category="law")]
    found, _, _ = learnt(tmp_path, seed, always(Label.A))
    rationale = f"{REASON}\n{CONCLUSIONS[Label.A]}"
    assert found == [
        LabeledComparison(seed[0].comparison, Label.A, rationale),
        LabeledComparison(seed[1].comparison.swap(), Label.A, rationale),
    ]


def test_labels_that_no_vote_reaches_stay_bare_in_their_places(tmp_path: Path) -> None:
    def longer(request: GenerationRequest, seed: int) -> str:
        _, a, b = extract(request.messages)
        return verdict_text(Label.A if len(a) > len(b) else Label.B, REASON)

    # The second response is the longer one, so that labels of the first are out of reach.
    seed = [
        labeled("n0", Label.A),
        labeled("n1", Label.B),
        labeled("n2", Label.A, "Feedback: by hand."),
        labeled("n3", Label.TIE),
        labeled("n4", Label.B),
    ]
    found, _, observer = learnt(tmp_path, seed, longer)
    assert [found[i] for i in (0, 2, 3)] == [seed[i] for i in (0, 2, 3)]
    for i in (1, 4):
        assert found[i] == LabeledComparison(seed[i].comparison, Label.B, f"{REASON}\n{CONCLUSIONS[Label.B]}")
    [note] = observer.notes
    assert "2 of 4" in note and "label-only" in note
    written, _ = load_labeled(str(tmp_path / "rounds/0/seed.jsonl"))
    assert list(written) == found


@pytest.mark.parametrize(
    "pool",
    [
        {"votes": 7, "orders": "first"},
        {"votes": 7, "stop_certainty": 0.6},
        {"votes": 1, "temperature": 0.5, "max_new_tokens": 33},
    ],
)
def test_all_its_votes_are_cast_in_both_orders_whatever_the_pool_is_judged_with(
    tmp_path: Path, pool: dict[str, Any]
) -> None:
    asked: list[GenerationRequest] = []

    def script(request: GenerationRequest, seed: int) -> str:
        asked.append(request)
        return verdict_text(Label.TIE, REASON)

    seed = [labeled("x", Label.TIE), labeled("y", Label.TIE, "Feedback: there."), labeled("z", Label.TIE)]
    _, engine, _ = learnt(tmp_path, seed, script, votes=5, judge={"pool": pool})
    assert engine.asked == 2 * 5 * 2
    shown = {extract(request.messages) for request in asked}
    assert shown == {
        (f"Prompt of {n}", *pair) for n in "xz" for pair in (("short", "a longer one"), ("a longer one", "short"))
    }
    assert {request.decoding.temperature for request in asked} == {pool.get("temperature", 0.75)}
    assert {request.decoding.max_new_tokens for request in asked} == {pool.get("max_new_tokens", 256)}


def test_one_vote_against_the_majority_is_enough(tmp_path: Path) -> None:
    counts: dict[tuple[str, ...], int] = {}

    def script(request: GenerationRequest, seed: int) -> str:
        shown = extract(request.messages)
        counts[shown] = counts.get(shown, 0) + 1
        first = shown[1] == "short"
        right = first and counts[shown] == 3
        wrong = Label.B if first else Label.A
        return verdict_text(Label.A, f"{REASON} At last.") if right else verdict_text(wrong, REASON)

    [found], _, observer = learnt(tmp_path, [labeled("x", Label.A)], script, votes=4)
    assert found.label is Label.A
    assert found.rationale is not None and "At last." in found.rationale
    assert observer.notes == []


def test_a_vote_counts_although_the_other_order_failed(tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> str:
        return verdict_text(Label.B, REASON) if extract(request.messages)[1] == "a longer one" else "no verdict"

    [found], _, _ = learnt(tmp_path, [labeled("x", Label.A)], script)
    assert found == LabeledComparison(
        labeled("x", Label.A).comparison.swap(), Label.B, f"{REASON}\n{CONCLUSIONS[Label.B]}"
    )


def test_a_label_without_a_reason_teaches_none(tmp_path: Path) -> None:
    seed = [labeled("x", Label.A)]
    found, _, observer = learnt(tmp_path, seed, lambda request, number: "<answer>A</answer>")
    assert found == seed
    assert "1 of 1" in observer.notes[0]


def test_of_several_rationales_the_one_that_takes_up_the_principles_is_learnt(tmp_path: Path) -> None:
    told = "Feedback: Response A keeps the requested limit of words and Response B exceeds it."
    count = 0

    def script(request: GenerationRequest, seed: int) -> str:
        nonlocal count
        count += 1
        return verdict_text(Label.TIE, told if count == 2 else REASON)

    [found], _, _ = learnt(
        tmp_path,
        [labeled("x", Label.TIE)],
        script,
        votes=3,
        judge={"principles": ["The answer keeps the requested limit."]},
    )
    assert found.rationale == f"{told}\n{CONCLUSIONS[Label.TIE]}"


def test_a_backbone_whose_verdicts_are_read_directly_is_asked_for_reasons_all_the_same(tmp_path: Path) -> None:
    class Engine(ScriptedEngine):
        def backbone(self, model: ModelConfig) -> Path:
            return tmp_path

    save_template(JudgeTemplate(readings=DIRECT), tmp_path)
    here = context(
        tmp_path / "r",
        Engine(always(Label.A)),
        seed=[labeled("x", Label.A)],
        settings={"rationale": {"own_for_seed": 1}},
    )
    assert with_own_rationales(here)[0].rationale == f"{REASON}\n{CONCLUSIONS[Label.A]}"


def test_how_sure_a_label_is_stays_with_the_comparison_in_either_order(tmp_path: Path) -> None:
    target = (0.7, 0.2, 0.1)
    item = replace(labeled("x", Label.A), target=target)
    [found], _, _ = learnt(tmp_path, [item], always(Label.A))
    assert found.rationale
    assert (found.label, found.target) in ((Label.A, target), (Label.B, (0.2, 0.7, 0.1)))
    assert found.comparison.responses in (item.comparison.responses, item.comparison.responses[::-1])
    assert (found.label is Label.A) == (found.comparison.responses == item.comparison.responses)
