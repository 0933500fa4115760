"""What the playground asks beside the public endpoints: a comparison with all its votes, and a ranking, in the words of the page.

Both answer with server-sent events, each an object with one key: ``written`` (what is new in a vote's rationale), ``pairs``
(how many of how many are compared), and at the end ``decision``, ``ranking`` or ``error``, which is one sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from gramr2.comparison import Comparison, Order, ResponseSet
from gramr2.judging.judge import Judge
from gramr2.judging.records import decision_row
from gramr2.judgment import Decision
from gramr2.rewards.ranking import comparisons_of, longest, rank, ranking_row
from gramr2.rewards.tournaments import RoundRobin
from gramr2.serving.model import Model
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.sizes import SizeCheck
from gramr2.serving.streams import Relay, event, guarded
from gramr2.serving.visit import KEY, Visit
from gramr2.web.answers import answer
from gramr2.web.telling import Written, row_in_numbers
from gramr2.wire import Prompt, Text, turns

MOST = 8
"""responses that the page has room for"""


class PlayRequest(BaseModel):
    """A prompt and two responses, with the numbers that the page calls them by."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    responses: tuple[Text, Text]
    numbers: tuple[int, int] = Field(default=(1, 2))
    seed: int = 0


class PlayRanking(BaseModel):
    """A prompt and responses to be put in order."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    responses: list[Text] = Field(min_length=2, max_length=MOST)
    seed: int = 0


def play_routes(model: Model, deadline: float) -> APIRouter:
    """``/ui/judge`` and ``/ui/rank``. They wait in the server's queue like every request, for ``deadline`` seconds at most."""
    router = APIRouter(include_in_schema=False)
    sizes = SizeCheck()

    def queued(request: Request) -> QueuedJudge:
        visit: Visit = request.scope[KEY]
        judge = QueuedJudge(model, visit.arrived + deadline, visit)
        judge.admit()
        return judge

    @router.post("/ui/judge")
    def judged(body: PlayRequest, request: Request) -> Response:
        judge = queued(request)
        comparison = Comparison("0", turns(body.prompt), body.responses)
        sizes.check(judge, [comparison])
        if isinstance(judge.served, Judge) and judge.served.template.reasons:
            return _stream(_begun(judge, judge.served, comparison, body))
        (decision,) = judge.compare([comparison], body.seed)
        return _stream(lambda: iter([_decided(judge, decision, body)]))

    @router.post("/ui/rank")
    def ranked(body: PlayRanking, request: Request) -> Response:
        judge = queued(request)
        responses = ResponseSet("0", turns(body.prompt), tuple(body.responses))
        sizes.check(judge, [longest(responses)])
        return _stream(lambda: _ranking(judge, responses, body.seed))

    @router.get("/ui/play")
    def who_judges() -> Response:
        return answer({"ready": model.ready, "judge": model.judge.id if model.judge else None})

    return router


def _stream(events: Callable[[], Iterator[str]]) -> StreamingResponse:
    return StreamingResponse(guarded(events, lambda _, told: {"error": told}), media_type="text/event-stream")


def _decided(judge: QueuedJudge, decision: Decision, body: PlayRequest) -> str:
    return event({"decision": {"judge": judge.id, **row_in_numbers(decision_row(decision), body.numbers)}})


def _begun(judge: QueuedJudge, served: Judge, comparison: Comparison, body: PlayRequest) -> Callable[[], Iterator[str]]:
    """Put a comparison into the queue, or raise what it gets there; returns its events."""
    relay: Relay[tuple[Order, int, str]] = Relay()
    work = served.sampling.votes * sum(map(len, (comparison.prompt_text, *comparison.responses)))
    future = judge.begin_aloud(comparison, body.seed, work, lambda *told: relay.tell(told))

    def events() -> Iterator[str]:
        written = Written(served.template, body.numbers)
        for order, sample, text in relay.follow(future, judge.deadline):
            for each in written.grown(order, sample, text):
                yield event({"written": each})
        yield _decided(judge, future.result(), body)

    return events


@dataclass
class _Counted:
    """A queued judge that tells how many comparisons it has judged: a ``PreferenceModel``."""

    judge: QueuedJudge
    told: Callable[[int], None]
    done: int = 0

    @property
    def id(self) -> str:
        return self.judge.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        found = self.judge.compare(comparisons, seed, lambda count: self.told(self.done + count))
        self.done += len(found)
        return found


def _ranking(judge: QueuedJudge, responses: ResponseSet, seed: int) -> Iterator[str]:
    relay: Relay[int] = Relay()
    total = comparisons_of([responses], RoundRobin())
    future = _apart(lambda: rank(_Counted(judge, relay.tell), [responses], seed=seed)[0])
    yield event({"pairs": [0, total]})
    for done in relay.follow(future, judge.deadline):
        yield event({"pairs": [done, total]})
    yield event({"ranking": ranking_row(responses, future.result())})


def _apart(work: Callable[[], Any]) -> Future[Any]:
    """What a call comes to, in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        with suppress(InvalidStateError):  # the deadline may have ended the future
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001  # it belongs to whoever waits
                future.set_exception(error)

    threading.Thread(target=run, name="gramr2-ranking", daemon=True).start()
    return future
