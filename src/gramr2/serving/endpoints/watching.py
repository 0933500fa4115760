"""What load balancers and Prometheus ask."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gramr2.serving.desk import Desk
from gramr2.serving.problems import documented
from gramr2.wire import StatusBody


def add_watching(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""

    @app.get("/healthz")
    async def health() -> StatusBody:
        """Whether the server is alive."""
        return StatusBody(status="ok")

    @app.get("/readyz", response_model=StatusBody, responses={503: {"model": StatusBody, "description": "no model"}})
    async def ready() -> JSONResponse:
        """Whether the model is loaded."""
        if desk.model.ready:
            return JSONResponse({"status": "ready"})
        failed = desk.model.failure is not None
        return JSONResponse(
            {"status": "failed" if failed else "not ready"}, 503, {} if failed else {"Retry-After": "1"}
        )

    @app.get("/metrics", response_class=PlainTextResponse, responses=documented(401, 408, 413, 421, 429))
    def scraped() -> PlainTextResponse:
        """Metrics for Prometheus."""
        return PlainTextResponse(generate_latest(desk.metrics.registry), media_type=CONTENT_TYPE_LATEST)
