"""Deliberate errors as statuses with one sentence each; their messages are for the client."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gramr2.errors import ConfigError, DataError, GramrError, PromptTooLongError
from gramr2.serving.errors import BusyError, ClosedError, ClosedGroupError, GoneError, LateError
from gramr2.serving.model import Model
from gramr2.serving.refusals import OpenAIError, openai_problem, problem, speaks_openai
from gramr2.serving.shapes.either import KINDS
from gramr2.wire import ProblemBody

GONE = 499
"""nginx's status for a client that has hung up; it is counted, and nobody receives it"""
UNEXPECTED = "the server failed unexpectedly: its log says why"
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
NAMING = ASKING | {404: {"model": ProblemBody, "description": "another model is asked for"}}
"""those of a path that asks a judge by its name"""


def add_problems(app: FastAPI, model: Model) -> None:
    """Turn errors into answers."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        status, path = status_of(error), request.url.path
        if isinstance(error, OpenAIError) and speaks_openai(path):
            return JSONResponse(openai_problem(status, str(error), error.param, error.code), status)
        body, headers = problem(path, status, str(error)), {}
        if isinstance(error, BusyError):
            headers = {"Retry-After": f"{error.retry_after:.0f}"}
        elif isinstance(error, ClosedError) and model.failure:
            body["retry"] = False  # retrying is of no use if the model cannot be loaded
            headers = {"x-should-retry": "false"} if speaks_openai(path) else {}
        elif isinstance(error, ClosedError):
            headers = {"Retry-After": "1"}
        return JSONResponse(body, status, headers)

    def malformed(request: Request, error: Exception) -> JSONResponse:
        # Without the input, which JSON may be unable to represent, such as NaN.
        found = error.errors() if isinstance(error, RequestValidationError) else []
        found = [{"loc": [part for part in each["loc"] if part not in KINDS], "msg": each["msg"]} for each in found]
        if speaks_openai(request.url.path):
            parts = [(".".join(map(str, each["loc"][1:])), each["msg"].removeprefix("Value error, ")) for each in found]
            told = "; ".join(f"{name}: {said}" if name else said for name, said in parts)
            return JSONResponse(openai_problem(422, told, parts[0][0] or None if parts else None), 422)
        return JSONResponse({"detail": found}, 422)

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The traceback is logged behind this; what it says is nobody else's business.
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return JSONResponse(problem(request.url.path, status, UNEXPECTED), status)

    def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(
            problem(request.url.path, error.status_code, error.detail), error.status_code, error.headers
        )

    app.add_exception_handler(Exception, unexpected)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(GramrError, answer)
    app.add_exception_handler(RequestValidationError, malformed)


def status_of(error: Exception) -> int:
    """The status of an answer that an error ended."""
    if isinstance(error, OpenAIError):
        return error.status
    kinds = (
        (BusyError, 429),
        (ClosedError, 503),
        (GoneError, GONE),
        (LateError, 504),
        (ClosedGroupError, 409),
        (PromptTooLongError, 413),
        (DataError, 422),
        (ConfigError, 422),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)
