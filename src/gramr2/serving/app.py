"""The reward server: judge, rank, score and rewards over HTTP, in shapes of our own and of other servers.

A failure is an error status, or null with a reason; it is never a number. The endpoints are in ``endpoints/``, a file for each
family.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute

from gramr2.serving.bodies import Gate, gated
from gramr2.serving.desk import Desk
from gramr2.serving.documentation import add_documentation
from gramr2.serving.endpoints.chat import add_chat
from gramr2.serving.endpoints.classifying import add_classifying
from gramr2.serving.endpoints.cohort import add_cohort
from gramr2.serving.endpoints.judging import add_judging
from gramr2.serving.endpoints.reranking import add_reranking
from gramr2.serving.endpoints.rewards import add_rewards
from gramr2.serving.endpoints.scoring import add_scoring
from gramr2.serving.endpoints.watching import add_watching
from gramr2.serving.memory import MemoryKeeper
from gramr2.serving.metrics import Metrics
from gramr2.serving.middleware import OPEN_PATHS, LimitsMiddleware, ServerLimits
from gramr2.serving.model import Model
from gramr2.serving.problems import add_problems

WATCHED = OPEN_PATHS | {"/metrics"}
"""paths that are asked all the time without making work"""


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
    desk, memory = Desk(model, limits or ServerLimits(), metrics or Metrics()), MemoryKeeper()
    desk.metrics.waiting.set_function(lambda: model.waiting)

    def counted(path: str, status: int) -> None:
        desk.metrics.requests.labels(path if path in paths else "other", str(status)).inc()
        if path not in WATCHED:
            memory.worked()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Requests wait in threads; with the default of forty some would wait for a thread, not counted by the queue's bound.
        anyio.to_thread.current_default_thread_limiter().total_tokens = desk.limits.max_requests + 8
        model.start()
        keeping = asyncio.create_task(memory.run())
        yield
        keeping.cancel()
        await anyio.to_thread.run_sync(model.close, desk.limits.deadline)

    app = FastAPI(title="gramr2 reward server", version="1", lifespan=lifespan, openapi_url=None)
    app.add_middleware(
        LimitsMiddleware,
        limits=desk.limits,
        token=token,
        counted=counted,
        hosts=hosts,
    )
    app.router.route_class = gated(Gate())
    add_problems(app, model)
    add_documentation(app)
    add_judging(app, desk)
    add_scoring(app, desk)
    add_chat(app, desk)
    add_reranking(app, desk)
    add_classifying(app, desk)
    add_cohort(app, desk)
    add_rewards(app, desk, end_tokens)
    add_watching(app, desk)
    paths = {each.path for each in app.routes if isinstance(each, APIRoute) and each.include_in_schema}
    return app
