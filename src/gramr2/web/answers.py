"""Answers of the page's own endpoints, and how they refuse."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from gramr2.errors import GramrError
from gramr2.files import strict_json
from gramr2.web.labelling.session import OutdatedError


def answer(value: Any, status: int = 200) -> Response:
    """A value as strict JSON. Half of a surrogate pair, which data may hold and UTF-8 cannot, is escaped."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return Response(strict_json(value, ensure_ascii=True), status, media_type="application/json")


def refusals(app: FastAPI) -> None:
    """Deliberate errors as statuses, each with its one sentence under ``detail``."""

    def refused(request: Request, error: Exception) -> Response:
        return answer({"detail": str(error)}, 409 if isinstance(error, OutdatedError) else 422)

    def malformed(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return answer({"detail": [{"loc": [*each["loc"]], "msg": each["msg"]} for each in found]}, 422)

    def unwritable(request: Request, error: Exception) -> Response:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return answer({"detail": f"{place}{reason}: nothing was saved"}, 507)

    app.add_exception_handler(GramrError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(OSError, unwritable)
