"""Numbers asked of a judge: what it is shown for them, how they come to be, and that each belongs to its own text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from contexts import Notes, context
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import labeled, make
from gramr2.backends.base import Completion, GenerationRequest, Score, ScoreRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label, LabeledComparison, Message
from gramr2.config.training import ModelConfig
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeTemplate, extract
from gramr2.judgment import FinishReason, LabelProbabilities
from gramr2.selftraining.rationales.readers import CHUNK, ModelReaders, scored
from gramr2.testing import ScriptedEngine

ALONE = "Say something."
JUDGE = Path("rounds/1/model")


def test_a_label_is_read_from_the_rationale_alone(tmp_path: Path) -> None:
    asked: list[GenerationRequest] = []

    def script(request: GenerationRequest, seed: int) -> str:
        asked.append(request)
        return verdict_text(Label.B)

    example = labeled("x", Label.A, "Feedback: Response A is short.\nConclusion: Response A is better.")
    # Only the judge of that folder answers.
    engine = ScriptedEngine(lambda request, seed: "?", {"1": script})
    assert ModelReaders(context(tmp_path, engine), JUDGE).read_back([example]) == [LabelProbabilities(0, 1, 0)]
    [request] = asked
    assert extract(request.messages) == ("(withheld)", "(withheld)", "(withheld)")
    assert request.given == "<think>\nFeedback: Response A is short.\n</think>\n<answer>"


def test_what_is_read_back_belongs_to_its_own_rationale_however_many_there_are(tmp_path: Path) -> None:
    def script(request: GenerationRequest, seed: int) -> Completion | str:
        number = int(request.written[0].split()[-1])
        if number % 5 == 4:
            return "no verdict"
        a, b = 1 / (number + 2), 0.25
        return Completion("", FinishReason.STOP, {"A": math.log(a), "B": math.log(b), "tie": math.log(0.75 - a)})

    count, observer = 2 * CHUNK + 3, Notes()
    examples = [labeled(f"n{i}", Label.A, f"Feedback: number {i}") for i in range(count)]
    readers = ModelReaders(context(tmp_path, ScriptedEngine(script), observer), JUDGE)
    for number, belief in enumerate(readers.read_back(examples)):
        if number % 5 == 4:
            assert belief is None
        else:
            assert belief is not None
            a = 1 / (number + 2)
            assert (belief.a, belief.b, belief.tie) == pytest.approx((a, 0.25, 0.75 - a))
    assert observer.steps == [(CHUNK, count), (2 * CHUNK, count), (count, count)]


def test_of_nothing_nothing_is_asked(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    readers = ModelReaders(context(tmp_path, engine), JUDGE)
    assert (readers.read_back([]), readers.pmi([])) == ([], [])
    assert engine.asked == 0


class Scorer(ScriptedBackend):
    """Log-probabilities by the text: given the prompt, and alone."""

    def __init__(self, values: dict[str, tuple[float, float]]) -> None:
        super().__init__(lambda request, seed: "")
        self.values, self.seen = values, list[ScoreRequest]()

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        self.seen += requests
        alone = (Message("user", ALONE),)
        return [Score(self.values[each.text][each.messages == alone], 1) for each in requests]


class Engine(ScriptedEngine):
    """Opens that backend, whatever the model."""

    def __init__(self, backend: Scorer) -> None:
        super().__init__()
        self.backend, self.opened = backend, list[Path]()

    def open(self, folder: Path, model: ModelConfig) -> ScriptedBackend:
        self.opened.append(folder)
        return self.backend


def pmi(path: Path, backend: Scorer, examples: Sequence[LabeledComparison], **settings: Any) -> list[float]:
    engine = Engine(backend)
    changes = {"rationale": {"unconditional_prompt": ALONE}} | settings
    found = ModelReaders(context(path, engine, settings=changes), JUDGE).pmi(examples)
    assert engine.opened == [JUDGE]
    return found


def written(body: str) -> str:
    """What the judge would have written before its verdict: no label may stand in it."""
    return f"<think>\nFeedback: {body}\nConclusion: Response A is better."


@pytest.mark.parametrize(
    ("given", "alone", "expected"),
    [
        (-10.0, -40.0, 0.75),
        (-40.0, -40.0, 0.0),
        (-60.0, -40.0, -0.5),
        (0.0, -40.0, 1.0),
        (-11.0, -1.0, -10.0),
        (-10.5, -1.0, -9.5),
        (-500.0, -1.0, -10.0),
        (-10.0, 0.0, -10.0),
    ],
)
def test_mutual_information_is_normalised_and_bounded_below(
    tmp_path: Path, given: float, alone: float, expected: float
) -> None:
    backend = Scorer({written("so."): (given, alone)})
    assert pmi(tmp_path, backend, [labeled("x", Label.A, "Feedback: so.")]) == pytest.approx([expected])


def test_a_text_is_scored_after_its_own_comparison_and_after_a_prompt_that_says_nothing(tmp_path: Path) -> None:
    count, principles = CHUNK + 5, ("Facts first.",)
    examples = [labeled(f"n{i}", Label.A, f"it is {i}.") for i in range(count)]
    backend = Scorer({written(f"it is {i}."): (-float(i + 1), -100.0) for i in range(count)})
    found = pmi(tmp_path, backend, examples, judge={"principles": list(principles)})
    assert found == pytest.approx([1 - (i + 1) / 100 for i in range(count)])
    template = JudgeTemplate(principles=principles)
    shown = {each.messages for each in backend.seen}
    assert shown == {(Message("user", ALONE),)} | {template.render(make(f"n{i}")) for i in range(count)}
    assert all(
        each.text == written(f"it is {i}.")
        for i in range(count)
        for each in backend.seen
        if each.messages == template.render(make(f"n{i}"))
    )
    assert len(backend.seen) == 2 * count


@settings(max_examples=25)
@given(st.lists(st.floats(-50, 0), max_size=3 * CHUNK))
def test_scores_come_in_the_order_asked_and_progress_ends_with_all(values: list[float]) -> None:
    backend = Scorer({str(i): (value, 0.0) for i, value in enumerate(values)})
    steps: list[tuple[int, int]] = []
    requests = [ScoreRequest((), str(i)) for i in range(len(values))]
    found = scored(backend, requests, lambda done, total: steps.append((done, total)))
    assert [each.logprob for each in found] == values
    assert len(backend.seen) == len(values)
    assert [done for done, _ in steps] == [*range(CHUNK, len(values), CHUNK), *([len(values)] if values else [])]
    assert {total for _, total in steps} <= {len(values)}
