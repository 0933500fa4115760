"""The page's files and its headers, in front of an application: nothing from elsewhere runs in it, and no other page uses it.

The files are those of the package and hold no secret, so they need no token; whatever they ask for needs it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

PREFIX = "/ui/"
"""of the page's own endpoints"""
HEADER = b"x-gramr2-page"
"""a request with a header of one's own is one that a browser does not send for a foreign page without asking the server first"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HARD = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_POLICY = frozenset({"/docs"})
"""pages that have a policy of their own"""


class Pages:
    """An ASGI application in front of another: it serves the page's files, adds headers, and refuses what a foreign page sends.

    Args:
        app: the application behind.
        pages: the pages that there are: paths, with the names of their files in ``static``.
        trusted: names under which the server may be called although they are not the request's ``Host``, as behind a proxy.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        pages: Mapping[str, str],
        trusted: Collection[str] = (),
    ) -> None:
        self._app, self._trusted = app, {each.lower() for each in trusted}
        static = {each.name: each.read_bytes() for each in (files("gramr2.web") / "static").iterdir() if each.is_file()}
        self._files = {f"/static/{name}": (name, body) for name, body in static.items() if not name.endswith(".html")}
        self._files |= {path: (name, static[name]) for path, name in pages.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file, refuse the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if path in self._files and method in ("GET", "HEAD"):
            name, body = self._files[path]
            await _respond(send, 200, KINDS[name.rpartition(".")[2]], body, {"content-security-policy": POLICY}, method)
        elif method not in SAFE and (reason := self._foreign(scope)) is not None:
            await _respond(send, 403, "application/json", json.dumps({"detail": reason}).encode(), {}, method)
        elif path in OWN_POLICY:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _hardened(send))

    def _foreign(self, scope: Scope) -> str | None:
        """Why a request that may change something is not from this page or from a program; None if it is."""
        headers = dict(scope["headers"])
        if headers.get(b"sec-fetch-site", b"") == b"cross-site":
            return "the request comes from another web page"
        origin = headers.get(b"origin")
        if origin is not None and not self._own(origin.decode("latin-1"), headers.get(b"host", b"").decode("latin-1")):
            return "the request comes from another web page: behind a proxy, give its name with --trusted-host"
        if scope["path"].startswith(PREFIX) and HEADER not in headers:
            return f"the header {HEADER.decode()} is missing"
        return None

    def _own(self, origin: str, host: str) -> bool:
        try:
            found = urlsplit(origin)
            return found.netloc.lower() == host.lower() or (found.hostname or "") in self._trusted
        except ValueError:
            return False


def _hardened(send: Send) -> Send:
    async def sent(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name for name, _ in message["headers"]}
            added = HARD | {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
            more = [(k.encode(), v.encode()) for k, v in added.items() if k.encode() not in there]
            message = message | {"headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _respond(send: Send, status: int, kind: str, body: bytes, headers: Mapping[str, str], method: str) -> None:
    named = {"content-type": kind, "content-length": str(len(body))} | HARD | dict(headers)
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
