"""The reward server: judge, rank, score, and OpenRLHF's remote reward, over HTTP.

A failure is an error status, or null with a reason; it is never a number.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gramr2.comparison import Comparison, ResponseSet, SingleResponse
from gramr2.errors import ConfigError, DataError, GramrError, PromptTooLongError
from gramr2.judging.judge import Judge
from gramr2.judging.records import decision_row
from gramr2.judgment import Decision
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.pointwise import Scored, against_references, comparisons_against, grade
from gramr2.rewards.ranking import longest, rank, ranking_row
from gramr2.rewards.tournaments import tournament
from gramr2.serving.bodies import Gate, gated
from gramr2.serving.memory import MemoryKeeper
from gramr2.serving.middleware import OPEN_PATHS, LimitsMiddleware, ServerLimits
from gramr2.serving.model import BusyError, ClosedError, GoneError, LateError, Model, QueuedJudge, Served
from gramr2.serving.openrlhf import UNDECIDED, EndTokens, RewardPlan, samples
from gramr2.serving.sizes import SizeCheck
from gramr2.serving.visit import KEY, Visit
from gramr2.wire import (
    MOST_COMPARISONS,
    DecisionBody,
    JudgeId,
    JudgeRequest,
    JudgeResponse,
    ProblemBody,
    RankRequest,
    RankResponse,
    RewardRequest,
    RewardResponse,
    ScoreBody,
    ScoreRequest,
    ScoreResponse,
    StatusBody,
    turns,
)

WATCHED = OPEN_PATHS | {"/metrics"}
"""paths that are asked all the time without making work"""
GONE = 499
"""nginx's status for a client that has hung up; it is counted, and nobody receives it"""
REFUSALS: dict[int, str] = {
    400: "the body cannot be read as JSON",
    401: "the bearer token is missing or wrong",
    408: "the body did not arrive in time",
    413: "the body is too large, or a comparison does not fit the judge",
    421: "the server does not answer to this host name",
    422: "the request is malformed, or asks for what cannot be done",
    429: "the queue or the server is full: try again after Retry-After",
    500: "the judge failed",
    503: "the model is being loaded or could not be (retry is false then), the server shuts down, or has no free connection",
    504: "the deadline passed before there was an answer",
}


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals for the OpenAPI document."""
    return {each: {"model": ProblemBody, "description": REFUSALS[each]} for each in statuses}


@dataclass
class Metrics:
    """The metrics that Prometheus scrapes."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.requests = Counter("gramr2_requests", "Requests", ["path", "status"], registry=self.registry)
        self.decisions = Counter("gramr2_decisions", "Decisions by label", ["label"], registry=self.registry)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256)
        self.batches = Histogram("gramr2_batch_size", "Comparisons in a batch", registry=self.registry, buckets=sizes)
        self.seconds = Histogram("gramr2_batch_seconds", "Seconds of a batch", registry=self.registry)
        self.waiting = Gauge("gramr2_waiting_comparisons", "Comparisons in the queue", registry=self.registry)


def create_app(
    model: Model,
    *,
    limits: ServerLimits | None = None,
    token: str | None = None,
    metrics: Metrics | None = None,
    end_tokens: Sequence[str] = (),
    hosts: Collection[str] | None = None,
) -> FastAPI:
    """The server's application. Its lifespan starts the model and lets it finish accepted work at the end.

    Args:
        model: a model that is not started yet.
        limits: the limits of the server.
        token: the bearer token that requests must have, if any.
        metrics: those that the model reports to.
        end_tokens: texts that end the completions of ``/get_reward`` and are removed.
        hosts: names that requests may call the server by; None allows all.
    """
    ends, sizes, memory = EndTokens(end_tokens), SizeCheck(), MemoryKeeper()
    limits, metrics = limits or ServerLimits(), metrics or Metrics()
    metrics.waiting.set_function(lambda: model.waiting)
    paths = {"/v1/judge", "/v1/rank", "/v1/score", "/get_reward", "/healthz", "/readyz", "/metrics"}

    def counted(path: str, status: int) -> None:
        metrics.requests.labels(path if path in paths else "other", str(status)).inc()
        if path not in WATCHED:
            memory.worked()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Requests wait in threads; with the default of forty some would wait for a thread, not counted by the queue's bound.
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.max_requests + 8
        model.start()
        keeping = asyncio.create_task(memory.run())
        yield
        keeping.cancel()
        await anyio.to_thread.run_sync(model.close, limits.deadline)

    app = FastAPI(title="gramr2 reward server", version="1", lifespan=lifespan, openapi_url=None)
    app.add_middleware(
        LimitsMiddleware,
        limits=limits,
        token=token,
        counted=counted,
        hosts=hosts,
    )
    app.router.route_class = gated(Gate())
    _errors(app, model)
    _documentation(app)

    def queued(request: Request, asked: float | None = None) -> tuple[QueuedJudge, JudgeId]:
        visit: Visit = request.scope[KEY]
        judge = QueuedJudge(model, visit.arrived + min(asked or limits.deadline, limits.deadline), visit)
        judge.admit()
        return judge, JudgeId(model=judge.id, template=judge.prompt)

    asking = _documented(*REFUSALS)

    @app.get("/v1/judge", responses=_documented(401, 408, 413, 421, 429, 500, 503))
    def who_judges() -> JudgeId:
        judge = QueuedJudge(model, float("inf"))
        return JudgeId(model=judge.id, template=judge.prompt)

    @app.post("/v1/judge", responses=asking)
    def judge(body: JudgeRequest, request: Request) -> JudgeResponse:
        asked, who = queued(request, body.deadline)
        comparisons = [
            Comparison(each.id or str(place), turns(each.prompt), each.responses)
            for place, each in enumerate(body.comparisons)
        ]
        sizes.check(asked, comparisons)
        decisions = asked.compare(comparisons, body.seed)
        for each in decisions:
            metrics.decisions.labels(each.label.value if each.label else "none").inc()
        return JudgeResponse(judge=who, decisions=[_body(each) for each in decisions])

    @app.post("/v1/rank", responses=asking)
    def ranked(body: RankRequest, request: Request) -> RankResponse:
        asked, who = queued(request, body.deadline)
        chosen = tournament(body.scheme, body.budget)
        responses = ResponseSet("0", turns(body.prompt), tuple(body.responses))
        sizes.check(asked, [longest(responses)])
        (found,) = rank(asked, [responses], chosen, aggregation=Aggregation(body.aggregation), seed=body.seed)
        return RankResponse(judge=who, ranking=ranking_row(responses, found))

    @app.post("/v1/score", responses=asking)
    def scored(body: ScoreRequest, request: Request) -> ScoreResponse:
        asked, who = queued(request, body.deadline)
        items = [
            SingleResponse(each.id or str(place), turns(each.prompt), each.response, each.bank)
            for place, each in enumerate(body.items)
        ]
        found: list[Scored] = []
        if body.by == "reference":
            _few(sum(len(item.references) for item in items))
            sizes.check(asked, [pair for item in items for pair in comparisons_against(item, item.references)])
            found = against_references(asked, items, seed=body.seed)
        else:
            sizes.check(asked, [Comparison(each.id, each.prompt, (each.response, "")) for each in items])
            for start in range(0, len(items), asked.batch):
                part = items[start : start + asked.batch]
                found += asked.alone(_grading(part, body.seed), [len(each.response) for each in part])
        keep = ScoreBody.model_fields.keys()
        return ScoreResponse(
            judge=who, scores=[ScoreBody(**{k: v for k, v in asdict(each).items() if k in keep}) for each in found]
        )

    @app.post("/get_reward", responses=asking)
    def reward(body: RewardRequest, request: Request) -> RewardResponse:
        """The chance that a completion beats its label's references; without any, its siblings in the request."""
        asked, who = queued(request)
        plan = RewardPlan.of(samples(body, ends))
        _few(plan.comparisons)
        sizes.check(asked, plan.longest())
        values, reasons = plan.rewards(asked)
        return RewardResponse(judge=who, rewards=values, reasons=reasons)

    @app.get("/healthz")
    async def health() -> StatusBody:
        return StatusBody(status="ok")

    @app.get("/readyz", response_model=StatusBody, responses={503: {"model": StatusBody, "description": "no model"}})
    async def ready() -> JSONResponse:
        if model.ready:
            return JSONResponse({"status": "ready"})
        failed = model.failure is not None
        return JSONResponse(
            {"status": "failed" if failed else "not ready"}, 503, {} if failed else {"Retry-After": "1"}
        )

    @app.get("/metrics", response_class=PlainTextResponse, responses=_documented(401, 408, 413, 421, 429))
    def scraped() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _documentation(app: FastAPI) -> None:
    """FastAPI's pages, with a document that is written once: its own writes it anew for everybody who asks."""
    written = cache(lambda: json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode())

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Response(written(), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="/openapi.json", title=app.title)


def _errors(app: FastAPI, model: Model) -> None:
    """Turn deliberate errors into statuses; their messages are for the client."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, BusyError):
            return JSONResponse({"detail": str(error)}, 429, {"Retry-After": f"{error.retry_after:.0f}"})
        if isinstance(error, ClosedError):
            # Retrying is of no use if the model cannot be loaded.
            if model.failure:
                return JSONResponse({"detail": str(error), "retry": False}, 503)
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})
        kinds = (
            (GoneError, GONE),
            (LateError, 504),
            (PromptTooLongError, 413),
            (DataError, 422),
            (ConfigError, 422),
            (GramrError, 500),
        )
        status = next(status for kind, status in kinds if isinstance(error, kind))
        return JSONResponse({"detail": str(error)}, status)

    def malformed(request: Request, error: Exception) -> JSONResponse:
        # Without the input, which JSON may be unable to represent, such as NaN.
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return JSONResponse({"detail": [{"loc": list(each["loc"]), "msg": each["msg"]} for each in found]}, 422)

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The traceback is logged behind this; what it says is nobody else's business.
        return JSONResponse(
            {"detail": "the server failed unexpectedly: its log says why"}, HTTPStatus.INTERNAL_SERVER_ERROR
        )

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(GramrError, answer)
    app.add_exception_handler(RequestValidationError, malformed)


def _few(comparisons: int) -> None:
    if comparisons > MOST_COMPARISONS:
        raise DataError(
            f"the request asks for {comparisons} comparisons, and at most {MOST_COMPARISONS} are allowed: send fewer at a time"
        )


def _grading(items: Sequence[SingleResponse], seed: int) -> Callable[[Served], list[Scored]]:
    def graded(own: Served) -> list[Scored]:
        if not isinstance(own, Judge):
            raise ConfigError(f"{own.id} gives rewards on a scale of its own and no grades: give references")
        return grade(own.backend, items, own.sampling, seed=seed)

    return graded


def _body(decision: Decision) -> DecisionBody:
    row = decision_row(decision)
    outcomes = Tally(vote.outcome.value for vote in decision.judgments)
    why = ", ".join(f"{n} × {what}" for what, n in outcomes.items()) or "a reward is NaN or infinite"
    reason = None if decision.label else f"{UNDECIDED}: {why}"
    return DecisionBody(**{k: row[k] for k in DecisionBody.model_fields if k != "reason"}, reason=reason)
