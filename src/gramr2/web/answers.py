"""Answers of the page's own endpoints, and how they refuse."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from gramr2.errors import GramrError, RunError
from gramr2.files import strict_json
from gramr2.web.labelling.session import NotSavedError, OutdatedError


def answer(value: Any, status: int = 200) -> Response:
    """A value as strict JSON. Half of a surrogate pair, which data may hold and UTF-8 cannot, is escaped."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return Response(strict_json(value, ensure_ascii=True), status, media_type="application/json")


def refusals(app: FastAPI, *, alone: bool) -> None:
    """Deliberate errors of the page's endpoints as statuses, each with its one sentence under ``detail``.

    Args:
        app: the application.
        alone: whether it has no other endpoints, whose errors the reward server turns into statuses itself.
    """

    def refused(request: Request, error: Exception) -> Response:
        status = 409 if isinstance(error, OutdatedError) else 507 if isinstance(error, NotSavedError) else 422
        return answer({"detail": str(error)}, status)

    def malformed(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return answer({"detail": [{"loc": [*each["loc"]], "msg": each["msg"]} for each in found]}, 422)

    for kind in (OutdatedError, NotSavedError, RunError, *([GramrError] if alone else [])):
        app.add_exception_handler(kind, refused)
    if alone:
        app.add_exception_handler(RequestValidationError, malformed)
