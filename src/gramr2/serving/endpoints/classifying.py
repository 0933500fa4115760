"""Classify, as vLLM answers it: which response is better?"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

from gramr2.comparison import Comparison, Label, Message
from gramr2.data.turns import BadRowError, read_prompt
from gramr2.errors import DataError
from gramr2.judging.records import reason_for
from gramr2.serving.desk import Desk, same_model
from gramr2.serving.metered import Metered
from gramr2.serving.problems import NAMING
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.shapes.chat import characters
from gramr2.serving.shapes.lists import ClassifyRequest, PairInput
from gramr2.serving.votes import judge_prompt
from gramr2.wire import turns
from gramr2.wire.lists import ClassBody, ClassifyResponse


def add_classifying(app: FastAPI, desk: Desk) -> None:
    """Add the path to the application."""

    @app.post("/classify", responses=NAMING)
    def classified(body: ClassifyRequest, request: Request) -> ClassifyResponse:
        """Which response is better, decided as in /v1/judge."""
        asked, who = desk.queued(request, body.deadline)
        same_model(body.model, asked)
        for place, each in enumerate(body.inputs):
            desk.sizes.bound(asked, _length(each), name=str(place))  # before anything is looked for in it
        comparisons = [_comparison(place, each, asked) for place, each in enumerate(body.inputs)]
        desk.sizes.check(asked, comparisons)
        judge = Metered(asked)
        decisions = judge.compare(comparisons, body.seed)
        desk.count(decisions)
        data = [
            ClassBody(
                index=index,
                label=None if each.label is None else each.label.value,
                probs=None if each.probabilities is None else [each.probabilities[label] for label in Label],
                reason=reason_for(each),
            )
            for index, each in enumerate(decisions)
        ]
        return ClassifyResponse(model=who.model, judge=who, data=data, usage=judge.usage)


def _length(given: str | PairInput | list[dict[str, Any]]) -> int:
    if isinstance(given, PairInput):
        return sum(map(len, given.responses))
    return len(given) if isinstance(given, str) else characters(given)


def _comparison(place: int, given: str | PairInput | list[dict[str, Any]], judge: QueuedJudge) -> Comparison:
    if isinstance(given, PairInput):
        return Comparison.of(turns(given.prompt), *given.responses)
    try:
        messages = (Message("user", given),) if isinstance(given, str) else read_prompt(given)
        return judge_prompt(messages, judge.writer.template, "{prompt, responses}")[0]
    except (BadRowError, DataError) as error:
        raise DataError(f"input {place}: {error}") from error
