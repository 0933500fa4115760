"""Checks that every request passes first: token, number of requests, size, and a time limit for slow senders."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""for load balancers, which have no token; they say nothing about the model"""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits of a server."""

    max_requests: int = 128
    """concurrent requests; more are refused with 429"""
    max_bytes: int = 4 << 20
    """size of a request's body; larger ones are refused with 413"""
    read_timeout: float = 10.0
    """seconds for a body to arrive; slower ones are refused with 408"""
    deadline: float = 120.0
    """longest time that a request may take, in seconds; it may ask for less"""


class LimitsMiddleware:
    """An ASGI application in front of another. It reads whole bodies, so that the one behind it never waits for a sender."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        limits: ServerLimits,
        token: str | None,
        counted: Callable[[str, int], None],
    ) -> None:
        self._app, self._limits, self._token, self._counted = app, limits, token, counted
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, begun = scope["path"], False

        async def answered(message: dict[str, Any]) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._counted(path, message["status"])
            await send(message)

        try:
            await self._answer(scope, receive, answered)
        except Exception:
            # The outer middleware turns this into a 500, which does not pass through here.
            if not begun:
                self._counted(path, 500)
            raise

    async def _answer(self, scope: Scope, receive: Receive, answered: Send) -> None:
        path = scope["path"]

        if path in OPEN_PATHS:
            await self._app(scope, receive, answered)
        elif not self._allowed(scope):
            await _refuse(answered, 401, "a bearer token is needed", {"www-authenticate": "Bearer"})
        elif self._running >= self._limits.max_requests:
            await _refuse(answered, 429, "too many requests at a time: try again later", {"retry-after": "1"})
        else:
            self._running += 1
            try:
                await self._admit(scope, receive, answered)
            finally:
                self._running -= 1

    def _allowed(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        if given.startswith(b"Basic "):
            # A client that cannot set headers, such as OpenRLHF, gives the token as the password in http://any:TOKEN@host.
            with suppress(binascii.Error):
                given = b"Bearer " + base64.b64decode(given.removeprefix(b"Basic "), validate=True).partition(b":")[2]
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await asyncio.wait_for(self._body(receive), self._limits.read_timeout)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not arrive within {self._limits.read_timeout:g} s")
            return
        except _GoneError:
            return
        if body is None:
            await _refuse(send, 413, f"the body is larger than {self._limits.max_bytes} bytes: send fewer at a time")
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> dict[str, Any]:
            return next(parts, None) or await receive()

        await self._app(scope, replayed, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None if it is larger than the limit, where reading stops."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _GoneError
            body += message.get("body", b"")
            if len(body) > self._limits.max_bytes:
                return None
            if not message.get("more_body"):
                return bytes(body)


class _GoneError(Exception):
    """The client disconnected before its request was complete."""


async def _refuse(send: Send, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps({"detail": reason}).encode()
    named = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"} | (
        headers or {}
    )
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
