"""The proving model: when it is trained, what it is asked, which of its proofs may count, and which of those is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes, context

from conftest import labeled, make
from gramr2.backends.base import Completion, GenerationRequest, Score, ScoreRequest
from gramr2.backends.scripted import Script, ScriptedBackend
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.training import ModelConfig
from gramr2.config.warmup import WarmupConfig
from gramr2.data import load_labeled
from gramr2.files import read_jsonl
from gramr2.judging.proving import PROOF_OPENING, ProvingTemplate
from gramr2.judging.template import CONCLUSIONS
from gramr2.judgment import FinishReason
from gramr2.selftraining.rationales.proofs import Proof, Prover, with_rationales
from gramr2.selftraining.run.context import RunContext
from gramr2.testing import ScriptedEngine

ALONE = "Say something."
STOP = FinishReason.STOP
Written = Callable[[GenerationRequest, int], Completion]


class Scoring(ScriptedBackend):
    """Finishes requests in reverse, and scores a proof by the numbers for its body: log P given the prompt, and alone."""

    def __init__(self, script: Script, name: str, engine: Engine) -> None:
        super().__init__(script, name)
        self.engine = engine

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        yield from reversed(list(super().generate(requests)))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        found = []
        self.engine.scored += requests
        for request in requests:
            given, alone = self.engine.scores[request.text.removeprefix(PROOF_OPENING).partition("\n")[0]]
            is_alone = [turn.content for turn in request.messages] == [ALONE]
            found.append(Score(alone if is_alone else given, 1))
        return found


class Engine(ScriptedEngine):
    """Opens such backends, and remembers which models it opened."""

    def __init__(self, written: Written, scores: dict[str, tuple[float, float]] | None = None) -> None:
        super().__init__(written)
        self.scores, self.scored = scores or {}, list[ScoreRequest]()
        self.opened: list[tuple[Path, str]] = []

    def open(self, folder: Path, model: ModelConfig) -> ScriptedBackend:
        self.opened.append((folder, model.name))
        return Scoring(self.script, f"scripted:{folder}", self)


def proof(body: str, label: Label, reason: FinishReason = STOP, tokens: int = 50) -> Completion:
    return Completion(f"{PROOF_OPENING}{body}\n{CONCLUSIONS[label]}", reason, completion_tokens=tokens)


def rationale(body: str, label: Label) -> str:
    return f"Feedback: {body}\n{CONCLUSIONS[label]}"


def in_turn(*proofs: Completion) -> Written:
    """These proofs, one after the other, of every request."""
    places: dict[str, int] = {}

    def written(request: GenerationRequest, seed: int) -> Completion:
        place = places.get(request.messages[0].content, 0)
        places[request.messages[0].content] = place + 1
        return proofs[place]

    return written


def proving(path: Path, engine: ScriptedEngine, observer: Notes | None = None, **proving: Any) -> RunContext:
    settings: dict[str, Any] = {"source": "proving", "unconditional_prompt": ALONE, "proving": proving}
    annotated = [labeled("t", Label.B, "Feedback: so.")]
    return context(path, engine, observer, proving=annotated, settings={"rationale": settings})


def proved(
    path: Path,
    written: Written,
    scores: dict[str, tuple[float, float]],
    *items: tuple[Comparison, Label],
    **changes: Any,
) -> list[Proof | None]:
    return Prover(proving(path, Engine(written, scores), **changes)).prove(items or [(make(), Label.A)])


def test_the_best_score_wins_not_the_likeliest_proof(tmp_path: Path) -> None:
    written = in_turn(proof("generic", Label.A), proof("specific", Label.A), proof("wordy", Label.A))
    scores = {"generic": (-5.0, -6.0), "specific": (-10.0, -40.0), "wordy": (-90.0, -100.0)}
    assert proved(tmp_path, written, scores, proofs=3) == [Proof(rationale("specific", Label.A), -0.25, 3)]


def test_the_first_of_equal_proofs_is_kept(tmp_path: Path) -> None:
    written = in_turn(proof("one", Label.B), proof("two", Label.B))
    [found] = proved(tmp_path, written, {"one": (-2.0, -4.0), "two": (-3.0, -6.0)}, (make(), Label.B), proofs=2)
    assert found == Proof(rationale("one", Label.B), -0.5, 2)


def test_each_item_gets_its_own_proof_whatever_order_they_are_written_in(tmp_path: Path) -> None:
    def written(request: GenerationRequest, seed: int) -> Completion:
        content = request.messages[0].content
        name = next(n for n in "xyz" if f"Prompt of {n}\n" in content)
        label = next(each for each, said in CONCLUSIONS.items() if content.endswith(said.removeprefix("Conclusion: ")))
        return proof(f"of {name}", label if name != "y" else label.swap())

    items = [(make("x"), Label.A), (make("y"), Label.A), (make("z"), Label.B)]
    engine = Engine(written, {"of x": (-1.0, -4.0), "of z": (-3.0, -4.0)})
    assert Prover(proving(tmp_path, engine, proofs=2)).prove(items) == [
        Proof(rationale("of x", Label.A), -0.25, 2),
        None,
        Proof(rationale("of z", Label.B), -0.75, 2),
    ]
    # Scored as what the model was asked for, with the label in the prompt, and as an answer to nothing.
    shown = {(each.messages, each.text) for each in engine.scored}
    assert shown == {
        (messages, proof(f"of {comparison.id}", label).text)
        for comparison, label in (items[0], items[2])
        for messages in (ProvingTemplate().render(comparison, label), (Message("user", ALONE),))
    }


@pytest.mark.parametrize(
    ("written", "trained", "prompted"),
    [
        (proof("body", Label.A), True, True),
        (proof("body", Label.A, FinishReason.CLOSED), True, True),
        (proof("body", Label.A, FinishReason.LENGTH), False, False),
        (proof("body", Label.A, FinishReason.ERROR), False, False),
        (proof("body", Label.A, tokens=20), True, True),
        (proof("body", Label.A, tokens=19), False, False),
        (proof("body", Label.B), False, False),
        (proof("", Label.A), False, False),
        (Completion(f"{PROOF_OPENING}body", STOP, completion_tokens=50), False, True),
    ],
)
def test_which_proofs_are_eligible(tmp_path: Path, written: Completion, trained: bool, prompted: bool) -> None:
    good = proof("good", Label.A)
    # The better one by far, if it may count.
    scores = {"body": (-1.0, -100.0), "good": (-50.0, -100.0)}
    for train, eligible in ((True, trained), (False, prompted)):
        [found] = proved(tmp_path / str(train), in_turn(good, written), scores, proofs=2, min_tokens=20, train=train)
        expected = (
            Proof(rationale("body", Label.A), -0.01, 2) if eligible else Proof(rationale("good", Label.A), -0.5, 1)
        )
        assert found == expected


def test_a_proof_that_says_nothing_alone_is_the_last_choice(tmp_path: Path) -> None:
    scores = {"empty": (-1.0, 0.0), "poor": (-300.0, -1.0)}
    both = in_turn(proof("empty", Label.A), proof("poor", Label.A))
    assert proved(tmp_path / "both", both, scores, proofs=2) == [Proof(rationale("poor", Label.A), -300.0, 2)]
    [only] = proved(tmp_path / "one", in_turn(proof("empty", Label.A)), scores, proofs=1)
    assert only == Proof(rationale("empty", Label.A), float("-inf"), 1)


def test_what_the_model_is_asked(tmp_path: Path) -> None:
    asked: list[tuple[GenerationRequest, int]] = []

    def written(request: GenerationRequest, seed: int) -> Completion:
        asked.append((request, seed))
        return Completion("", STOP)

    items = [(make("x"), Label.A), (make("y"), Label.A), (make("x"), Label.B)]
    settings: dict[str, Any] = {"proofs": 3, "temperature": 0.4, "top_p": 0.9, "max_new_tokens": 77}
    assert proved(tmp_path / "a", written, {}, *items, **settings) == [None, None, None]
    assert [request.messages for request, _ in asked[::3]] == [ProvingTemplate().render(*item) for item in items]
    decodings = {(r.decoding.temperature, r.decoding.top_p, r.decoding.max_new_tokens, r.prefill) for r, _ in asked}
    assert decodings == {(0.4, 0.9, 77, PROOF_OPENING)}
    assert {r.stop for r, _ in asked} == {
        tuple(f"Conclusion: {x} is better." for x in ("Response A", "Response B", "Neither response"))
    }
    seeds = [seed for _, seed in asked]
    assert len(set(seeds)) == 9
    # A proof's seed is its own, whatever else is asked.
    asked.clear()
    proved(tmp_path / "b", written, {}, items[1], **settings)
    assert [seed for _, seed in asked] == seeds[3:6]


def test_nothing_to_prove_trains_and_asks_nothing(tmp_path: Path) -> None:
    engine = Engine(lambda request, seed: Completion("", STOP))
    assert Prover(proving(tmp_path, engine)).prove([]) == []
    assert (engine.trained, engine.opened) == ([], [])


def test_the_model_is_trained_once_on_what_is_annotated(tmp_path: Path) -> None:
    engine = Engine(lambda request, seed: proof("body", Label.A), {"body": (-1.0, -2.0)})
    here = proving(tmp_path, engine, training={"epochs": 9})
    prover = Prover(here)
    prover.prove([(make(), Label.A)])
    prover.prove([(make("other"), Label.A)])
    Prover(here).train()
    [(start, items)], [job] = engine.trained, engine.jobs
    assert (start, items) == (Path("backbone/none"), list(here.data.proving))
    assert (job.stage, job.training.epochs, job.template) == ("proving", 9, ProvingTemplate())
    assert engine.opened == [(tmp_path / "proving/model", "none")] * 2
    assert (tmp_path / "proving/model/config.json").exists()


def test_a_model_that_needs_no_teaching_is_prompted_as_it_is(tmp_path: Path) -> None:
    engine = Engine(lambda request, seed: proof("body", Label.A), {"body": (-1.0, -2.0)})
    assert Prover(proving(tmp_path, engine, train=False, model="big")).prove([(make(), Label.A)])[0] is not None
    assert engine.opened == [(Path("backbone/big"), "big")]
    assert engine.trained == []
    assert not (tmp_path / "proving").exists()


def test_the_training_starts_from_the_warmed_up_backbone_only_where_it_is_the_runs(tmp_path: Path) -> None:
    for name, start in ((None, tmp_path / "none/warmup/model"), ("big", Path("backbone/big"))):
        engine = Engine(lambda request, seed: Completion("", STOP))
        here = proving(tmp_path / str(name).lower(), engine, **({"model": name} if name else {}))
        warmed = replace(here, config=here.config.model_copy(update={"warmup": WarmupConfig()}))
        Prover(warmed).train()
        assert [found for found, _ in engine.trained] == [start]


class Stub(Prover):
    """Gives proofs that were written beforehand."""

    def __init__(self, *proofs: Proof | None) -> None:
        self.proofs, self.asked = proofs, list[tuple[Comparison, Label]]()

    def prove(self, items: Sequence[tuple[Comparison, Label]]) -> list[Proof | None]:
        self.asked += items
        return list(self.proofs)


def test_a_seed_that_has_all_its_rationales_is_left_alone(tmp_path: Path) -> None:
    seed, prover = [labeled("x", Label.A, "Feedback: mine.")], Stub()
    assert with_rationales(context(tmp_path, seed=seed), prover) == seed
    assert prover.asked == []
    assert not (tmp_path / "rounds").exists()


def test_proofs_fill_the_gaps_of_a_seed_and_nothing_else(tmp_path: Path) -> None:
    seed = [
        labeled("n0", Label.A, "Feedback: mine."),
        replace(labeled("n1", Label.B), target=(0.1, 0.9, 0.0)),
        labeled("n2", Label.TIE),
        labeled("n3", Label.A, "Feedback: mine too."),
        labeled("n4", Label.A, category="law"),
    ]
    prover, observer = Stub(Proof("one", -0.5, 2), None, Proof("two", -0.125, 1)), Notes()
    found = with_rationales(context(tmp_path, observer=observer, seed=seed), prover)
    assert prover.asked == [(seed[i].comparison, seed[i].label) for i in (1, 2, 4)]
    filled: list[LabeledComparison] = [replace(seed[1], rationale="one"), replace(seed[4], rationale="two")]
    assert found == [seed[0], filled[0], seed[2], seed[3], filled[1]]
    [note] = observer.notes
    assert "1 of 3" in note and "label-only" in note
    file = tmp_path / "rounds/0/seed.jsonl"
    assert list(load_labeled(str(file))[0]) == found
    assert [row.get("proof_score") for row in read_jsonl(file)] == [None, -0.5, None, None, -0.125]


def test_where_every_gap_is_filled_there_is_nothing_to_say(tmp_path: Path) -> None:
    observer = Notes()
    with_rationales(context(tmp_path, observer=observer, seed=[labeled("x", Label.A)]), Stub(Proof("one", -1.0, 1)))
    assert observer.notes == []
