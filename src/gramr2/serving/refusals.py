"""The body of a refusal, in the shape that the clients of a path read."""

from __future__ import annotations

from typing import Any

from gramr2.errors import DataError

OPENAI = "/v1/chat/completions", "/v1/models"
"""paths whose clients read OpenAI's errors"""
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class OpenAIError(DataError):
    """A request that OpenAI's clients are told more about.

    Args:
        message: one sentence.
        param: the field that is wrong.
        code: for programs.
        status: of the answer.
    """

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 422) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


def speaks_openai(path: str) -> bool:
    """Whether a path is OpenAI's."""
    return path in OPENAI or path.startswith(f"{OPENAI[1]}/")


def openai_problem(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def problem(path: str, status: int, message: str) -> dict[str, Any]:
    """A refusal with one sentence."""
    return openai_problem(status, message) if speaks_openai(path) else {"detail": message}
