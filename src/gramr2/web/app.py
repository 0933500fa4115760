"""Puts the page together: in front of the reward server, or with a server of its own for labelling and runs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Sequence

from fastapi import APIRouter, FastAPI, Response

from gramr2.serving.app import create_app
from gramr2.serving.middleware import LimitsMiddleware, ServerLimits
from gramr2.serving.model import Model
from gramr2.web.answers import answer, refusals
from gramr2.web.labelling.routes import label_routes
from gramr2.web.labelling.session import Session
from gramr2.web.pages import Pages
from gramr2.web.playground import play_routes
from gramr2.web.runs.routes import run_routes
from gramr2.web.runs.shelf import Shelf

PLAY, RUNS, LABEL = "play", "runs", "label"


def ui_app(
    *,
    shelf: Shelf | None = None,
    session: Session | None = None,
    model: Model | None = None,
    limits: ServerLimits | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    trusted: Collection[str] = (),
) -> FastAPI:
    """The application of ``gramr2 ui``, with the parts that are given; with a model it is the reward server too.

    Args:
        shelf: runs to browse.
        session: comparisons to label.
        model: a judge for the playground, that is not started yet.
        limits, token, hosts: see ``gramr2.serving.app.create_app``.
        trusted: names of proxies, see ``Pages``.
    """
    limits = limits or ServerLimits()
    if model is not None:
        app = create_app(model, limits=limits, token=token, hosts=hosts)
    else:
        app = FastAPI(title="gramr2", openapi_url=None)
        app.add_middleware(LimitsMiddleware, limits=limits, token=token, counted=lambda path, status: None, hosts=hosts)
    refusals(app, alone=model is None)
    there: list[str] = []
    if session is not None:
        app.include_router(label_routes(session))
        there.append(LABEL)
    if shelf is not None:
        app.include_router(run_routes(shelf))
        there.append(RUNS)
    return with_page(app, model, limits, there, trusted)


def with_page(
    app: FastAPI,
    model: Model | None,
    limits: ServerLimits,
    there: Sequence[str] = (),
    trusted: Collection[str] = (),
) -> FastAPI:
    """Add the page at ``/`` to an application, with a playground if there is a model; returns the application.

    Args:
        app: the application.
        model: what the playground asks.
        limits: the deadline of its questions.
        there: the other parts that the application has, the first one at ``/``.
        trusted: names of proxies, see ``Pages``.
    """
    parts = [*there, *([PLAY] if model is not None else [])]
    about = APIRouter(include_in_schema=False)

    @about.get("/ui/about")
    def told() -> Response:
        return answer({"version": importlib.metadata.version("gramr2"), "parts": parts})

    app.include_router(about)
    if model is not None:
        app.include_router(play_routes(model, limits.deadline))
    pages = {f"/{part}": f"{part}.html" for part in parts}
    app.add_middleware(Pages, pages=pages | {"/": f"{parts[0]}.html"}, trusted=trusted)
    return app
