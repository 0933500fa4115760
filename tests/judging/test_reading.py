"""Handing a judge a rationale: what it sees, and what is read."""

from __future__ import annotations

import math

import pytest

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label
from gramr2.judging.reading import request_for, verdicts_given, withhold, without_conclusion
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeTemplate, extract
from gramr2.judgment import FinishReason, LabelProbabilities

REASON = "Feedback: Response A is short.\nConclusion: Response A is better."


def test_the_request_ends_where_the_label_stands() -> None:
    request = request_for(JudgeTemplate(), make(), REASON)
    assert request.given == f"<think>\n{REASON}\n</think>\n<answer>"
    # In the pieces of training, whose ends are token boundaries.
    assert (request.prefill, *request.written) == JudgeTemplate().answer(Label.A, REASON)[:3]


def test_withheld_and_without_its_conclusion() -> None:
    assert extract(JudgeTemplate().render(withhold(make()))) == ("(withheld)", "(withheld)", "(withheld)")
    assert without_conclusion(REASON) == "Feedback: Response A is short."
    assert without_conclusion("no conclusion") == "no conclusion"


def test_probabilities_labels_and_nothing() -> None:
    def script(request: GenerationRequest, seed: int) -> Completion | str:
        reason = request.written[0]
        if "logits" in reason:
            values = {"A": 0.2, "B": 0.5, "tie": 0.3}
            return Completion("", FinishReason.STOP, {key: math.log(value) for key, value in values.items()})
        return verdict_text(Label.B) if "text" in reason else "nothing"

    found = verdicts_given(
        ScriptedBackend(script), JudgeTemplate(), [(make(), word) for word in ("logits", "text", "neither")]
    )
    assert found[0] is not None
    assert (found[0].a, found[0].b, found[0].tie) == pytest.approx((0.2, 0.5, 0.3))
    assert found[1:] == [LabelProbabilities(0, 1, 0), None]
