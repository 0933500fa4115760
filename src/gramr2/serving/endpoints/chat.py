"""The judge as a model of OpenAI's API: its answer is a rationale and a verdict."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.serving.desk import Desk, same_model
from gramr2.serving.problems import REFUSALS
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.refusals import OPENAI
from gramr2.serving.shapes.chat import (
    ChatCompletion,
    ChatRequest,
    Choice,
    ModelBody,
    ModelList,
    OpenAIProblem,
    Told,
    characters,
)
from gramr2.serving.streams import DONE, Chunks, Relay, guarded
from gramr2.serving.votes import Ballot, choice_of, sound
from gramr2.wire import JudgeId

_REFUSALS: dict[int | str, dict[str, Any]] = {
    each: {"model": OpenAIProblem, "description": said} for each, said in REFUSALS.items()
}
_REFUSALS |= {404: {"model": OpenAIProblem, "description": "another model is asked for"}}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "the votes"}
}


def add_chat(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""
    since = int(time.time())
    chat, models = OPENAI
    kinds = {status: said for status, said in _REFUSALS.items() if status not in (400, 504)}

    @app.get(models, responses={status: said for status, said in kinds.items() if status not in (404, 422)})
    def listed() -> ModelList:
        """The judge, as the only model."""
        return ModelList(data=[ModelBody(id=QueuedJudge(desk.model, float("inf")).id, created=since)])

    @app.get(f"{models}/{{name:path}}", responses=kinds)
    def model(name: str) -> ModelBody:
        """The judge, if that is its name."""
        judge = QueuedJudge(desk.model, float("inf"))
        same_model(name, judge)
        return ModelBody(id=judge.id, created=since)

    @app.post(chat, response_model=ChatCompletion, responses=_STREAM | _REFUSALS)
    def completed(body: ChatRequest, request: Request) -> ChatCompletion | StreamingResponse:
        """Votes on one comparison, in the order given."""
        asked, who = desk.queued(request)
        same_model(body.model, asked)
        desk.sizes.bound(asked, characters(body.messages))  # before anything is looked for in them
        answer = _Answer(body, asked, who, Ballot.of(body, asked.writer))
        desk.sizes.check(asked, [answer.ballot.comparison], answer.ballot.judge.sampling.max_new_tokens)
        if body.stream:
            return StreamingResponse(guarded(answer.begun()), media_type="text/event-stream")
        return answer.whole()


class _Answer:
    """The answer to one request, whole or in events."""

    def __init__(self, body: ChatRequest, asked: QueuedJudge, who: JudgeId, ballot: Ballot) -> None:
        self.ballot, self._body, self._asked, self._who = ballot, body, asked, who
        self._request: GenerationRequest = ballot.request
        self._frame: dict[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": who.model,
            "system_fingerprint": f"{who.model}/{who.template}",
        }

    def whole(self) -> ChatCompletion:
        """The answer, once it is there."""
        completions = self._asked.complete(self._request, self.ballot.work)
        sound(completions)
        return ChatCompletion(
            **self._frame,
            choices=self._choices(completions),
            usage=self.ballot.usage(self._request, completions),
            gramr2=Told(judge=self._who, seed=self.ballot.seed, outcomes=[*map(self.ballot.outcome_of, completions)]),
        )

    def begun(self) -> Callable[[], Iterator[str]]:
        """Put the request into the queue, or raise what it gets there; returns the events."""
        relay: Relay[tuple[int, str]] = Relay()
        future = self._asked.begin(self._request, self.ballot.work, lambda *told: relay.tell(told))
        return lambda: self._events(relay, future)

    def _events(self, relay: Relay[tuple[int, str]], future: Future[list[Completion]]) -> Iterator[str]:
        usage = bool(self._body.stream_options and self._body.stream_options.include_usage)
        frame = self._frame | {"object": "chat.completion.chunk"}
        chunks = Chunks(frame, self.ballot.judge.sampling.votes, usage)
        yield from chunks.begin({"judge": self._who.model_dump(), "seed": self.ballot.seed})
        for sample, text in relay.follow(future, self._asked.deadline):
            yield from chunks.grown(sample, text)
        completions = future.result()
        sound(completions)
        for choice in self._choices(completions):
            yield from chunks.end(choice)
        if usage:
            yield chunks.last(usage=self.ballot.usage(self._request, completions).model_dump())
        yield DONE

    def _choices(self, completions: Sequence[Completion]) -> list[Choice]:
        top = (self._body.top_logprobs or 0) if self._body.logprobs else None
        return [choice_of(index, each, self._request, top) for index, each in enumerate(completions)]
