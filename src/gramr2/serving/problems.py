"""Deliberate errors as statuses with one sentence each; their messages are for the client."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from gramr2.errors import ConfigError, DataError, GramrError, PromptTooLongError
from gramr2.serving.model import BusyError, ClosedError, GoneError, LateError, Model
from gramr2.wire import ProblemBody

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


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals for the OpenAPI document."""
    return {each: {"model": ProblemBody, "description": REFUSALS[each]} for each in statuses}


ASKING = documented(*REFUSALS)
"""those of a path that asks the judge"""


def add_problems(app: FastAPI, model: Model) -> None:
    """Turn errors into answers."""

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
