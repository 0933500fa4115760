"""A judge that follows its rationale is moved by the probes; one that ignores it is not."""

from __future__ import annotations

import pytest

from conftest import make, vote
from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.evaluation.faithfulness import probe
from gramr2.evaluation.probes import interventions
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeTemplate
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Outcome

A = "Feedback: Response A keeps the limit here.\nConclusion: Response A is better."
B = "Feedback: Response B keeps the limit here.\nConclusion: Response B is better."
ITEMS = [
    (make(str(i)), decide(str(i), [vote(o, Order.AB, 0, None, text), vote(o, Order.BA, 0, None, None)]))
    for i, (o, text) in enumerate([(Outcome.A, A), (Outcome.B, B)] * 2)
]


def follows(request: GenerationRequest, seed: int) -> str:
    reason = request.written[0]
    last = max((reason.rfind(f"Response {x}"), Label(x)) for x in "AB")
    return verdict_text(last[1] if last[0] >= 0 else Label.TIE)


def test_a_judge_that_reads_its_rationale() -> None:
    found = probe(ScriptedBackend(follows), JudgeTemplate(), ITEMS)
    assert {name: each.changed for name, each in found.items()} == {
        "untouched": 0.0,
        "removed": 1.0,
        "exchanged": 1.0,
        "cut_25": 1.0,
        "cut_50": 0.0,
        "cut_75": 0.0,
        "corrupted": 0.0,
        "contradicted": 1.0,
    }
    assert found["removed"].n == 4
    assert found["removed"].low == pytest.approx(0.51, abs=0.01)


def test_whether_the_verdict_follows_what_the_changed_rationale_concludes() -> None:
    def followed(backend: ScriptedBackend, items: list[tuple[Comparison, Decision]] = ITEMS) -> dict[str, float | None]:
        return {name: each.followed for name, each in probe(backend, JudgeTemplate(), items).items()}

    reader, stubborn = ScriptedBackend(follows), ScriptedBackend(lambda request, seed: verdict_text(Label.A))
    assert {name: value for name, value in followed(reader).items() if value is not None} == {
        "exchanged": 1.0,
        "contradicted": 1.0,
    }
    # Half of the verdicts are B: with another's rationale, or the opposite conclusion, A is what they should say.
    assert followed(stubborn)["contradicted"] == followed(stubborn)["exchanged"] == 0.5
    # Among verdicts that all say the same there is none to exchange with.
    assert "exchanged" not in followed(reader, ITEMS[::2])


def test_with_truths_every_probe_has_an_accuracy() -> None:
    truths = [item.best.outcome.label for _, item in ITEMS if item.best]  # the judge was right each time
    found = probe(ScriptedBackend(follows), JudgeTemplate(), ITEMS, truths)
    assert {name: each.accuracy for name, each in found.items()} == {
        name: 1 - each.changed for name, each in found.items()
    }
    assert probe(ScriptedBackend(follows), JudgeTemplate(), ITEMS)["removed"].accuracy is None


def test_corruption_changes_one_digit_of_the_reasoning_and_not_the_conclusion() -> None:
    text = "Feedback: 12+30=42, so A 4.\nConclusion: Response A is better."
    examples = [LabeledComparison(make(str(i)), Label.A, text) for i in range(20)]
    changed = [interventions()["corrupted"].change(examples, i) or "" for i in range(20)]
    for each in changed:
        assert len(each) == len(text)
        assert sum(a != b for a, b in zip(each, text, strict=True)) == 1
        assert each.endswith("\nConclusion: Response A is better.")
    assert len(set(changed)) > 5
    plain = [LabeledComparison(make("x"), Label.A, "It is nice.\nConclusion: Response A is better.")]
    assert interventions()["corrupted"].change(plain, 0) is None


def test_a_judge_that_does_not() -> None:
    stubborn = ScriptedBackend(lambda request, seed: verdict_text(Label.A))
    assert all(each.changed == 0 for each in probe(stubborn, JudgeTemplate(), ITEMS).values())


def test_too_few_rationales_are_not_probed() -> None:
    assert probe(ScriptedBackend(follows), JudgeTemplate(), ITEMS[:1]) == {}
