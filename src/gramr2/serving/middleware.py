"""Checks that every request passes first: host, token, number of requests, size, and a time limit for slow senders."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gramr2.serving.refusals import problem
from gramr2.serving.visit import KEY, Visit

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""names under which a server on a loopback address is called. A web page can give its own name the address of this machine, and
its visitor's browser would then let it read the answers"""
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""for load balancers, which have no token; they say nothing about the model"""


BROWSERS = {"/docs": 'Basic realm="gramr2: any name, and the token as the password", charset="UTF-8"'}
"""what is opened in a browser, which has no other way to ask for the token"""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits of a server."""

    max_requests: int = 128
    """concurrent requests; more are refused with 429"""
    max_bytes: int = 4 << 20
    """size of a request's body; larger ones are refused with 413"""
    max_pending: int = 64 << 20
    """bytes of all bodies that are being read or answered together; more are refused with 429"""
    read_timeout: float = 10.0
    """seconds for a body to arrive; slower ones are refused with 408"""
    deadline: float = 120.0
    """longest time that a request may take, in seconds; it may ask for less"""


class LimitsMiddleware:
    """An ASGI application in front of another. It reads whole bodies, so that the one behind it never waits for a sender, and
    tells it by a ``Visit`` when the client hangs up.

    Args:
        app: the application behind.
        limits: the limits.
        token: the bearer token, if one is needed.
        counted: called with path and status of every answer.
        hosts: names that a request may call the server by; None allows all.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        limits: ServerLimits,
        token: str | None,
        counted: Callable[[str, int], None],
        hosts: Collection[str] | None = None,
    ) -> None:
        self._app, self._limits, self._token, self._counted = app, limits, token, counted
        self._hosts = None if hosts is None else {each.lower() for each in hosts}
        self._running = 0
        self._pending = 0

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
        elif (host := self._stranger(scope)) is not None:
            await _refuse(
                path,
                answered,
                421,
                f"this server does not answer to the name {host!r}: see gramr2 serve --trusted-host",
            )
        elif not self._allowed(scope):
            await _refuse(
                path, answered, 401, "a bearer token is needed", {"www-authenticate": BROWSERS.get(path, "Bearer")}
            )
        elif self._running >= self._limits.max_requests:
            await _refuse(path, answered, 429, "too many requests at a time: try again later", {"retry-after": "1"})
        else:
            self._running += 1
            try:
                await self._admit(scope, receive, answered)
            finally:
                self._running -= 1

    def _stranger(self, scope: Scope) -> str | None:
        """The name by which the request calls the server, if that is none of its own."""
        if self._hosts is None:
            return None
        given = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
        name = given.partition("]")[0].removeprefix("[") if given.startswith("[") else given.partition(":")[0]
        return None if name in self._hosts else name[:100]

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
        body = bytearray()
        try:
            try:
                refusal = await asyncio.wait_for(self._read(receive, body), self._limits.read_timeout)
            except TimeoutError:
                refusal = 408, f"the body did not arrive within {self._limits.read_timeout:g} s"
            except _GoneError:
                return
            if refusal is not None:
                await _refuse(scope["path"], send, *refusal, {"retry-after": "1"} if refusal[0] == 429 else None)
                return
            await self._pass_on(scope, bytes(body), receive, send)
        finally:
            self._pending -= len(body)

    async def _pass_on(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        visit, left = Visit(len(body)), asyncio.Event()
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        def leave() -> None:
            left.set()
            visit.leave()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            leave()

        async def replayed() -> dict[str, Any]:
            part = next(parts, None)
            if part is None:
                await left.wait()
            return part or {"type": "http.disconnect"}

        watcher = asyncio.create_task(watch())
        try:
            await self._app(scope | {KEY: visit}, replayed, send)
        except asyncio.CancelledError:
            # A server that ends waits so long for its answers, and cancels the rest: nobody would read them.
            leave()
            raise
        finally:
            watcher.cancel()

    async def _read(self, receive: Receive, body: bytearray) -> tuple[int, str] | None:
        """Read the whole body, or as far as the limits allow; returns status and reason of a refusal."""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _GoneError
            part = message.get("body", b"")
            if len(body) + len(part) > self._limits.max_bytes:
                return 413, f"the body is larger than {self._limits.max_bytes} bytes: send fewer at a time"
            if self._pending + len(part) > self._limits.max_pending:
                return 429, "too many bytes are being answered at a time: try again later"
            body += part
            self._pending += len(part)
            if not message.get("more_body"):
                return None


class _GoneError(Exception):
    """The client disconnected before its request was complete."""


async def _refuse(path: str, send: Send, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps(problem(path, status, reason)).encode()
    named = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"} | (
        headers or {}
    )
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
