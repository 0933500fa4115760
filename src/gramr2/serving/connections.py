"""Bounds on connections: how many, how long one may be silent, and how long a reader may take.

uvicorn limits only idle connections that have had an answer. Here every connection has a time limit for the headers of its next
request and for reading its answers. When all places are taken, a new connection gets the place of the one that has been silent
longest, so that connections without a request never keep one with a request out.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gramr2.errors import ConfigError

RESERVED = 128
"""descriptors for everything else: model files, the listening socket, connections that are being closed"""
ACCEPTED = 16
"""connections accepted in one turn of the event loop; asyncio accepts as many as its backlog before it closes any"""
BACKLOG = 2048
"""connections that the kernel lets wait"""
FEWEST = 8


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of connections."""

    connections: int = 1024
    """open at the same time"""
    header_timeout: float = 10.0
    """seconds until a request's headers are complete, from the start of the connection or the last answer"""
    write_timeout: float = 30.0
    """seconds that a client may leave an answer unread"""


def descriptors_for(connections: int) -> int:
    """The number of connections for which the process has descriptors; raises its soft limit as far as that is needed.

    Raises:
        ConfigError: there are too few for any service.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    room = max(soft, raised) - RESERVED
    if room < FEWEST:
        raise ConfigError(
            f"the process may open only {max(soft, raised)} files, and a server needs {RESERVED + FEWEST}: raise the limit "
            "with ulimit -n"
        )
    return min(connections, room)


def _reply(status: str, reason: str) -> bytes:
    body = json.dumps({"detail": reason}).encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
    )
    return f"{head}retry-after: 1\r\n\r\n".encode() + body


FULL = _reply("503 Service Unavailable", "too many connections: try again later")
SLOW = _reply("408 Request Timeout", "the headers did not arrive in time")


def bounded_protocol(limits: ConnectionLimits) -> type[H11Protocol]:
    """uvicorn's HTTP protocol with these limits, for ``uvicorn.Config(http=…)``; its connections share one count."""
    silent: dict[H11Protocol, None] = {}  # connections without a request, the longest silent first

    class BoundedProtocol(H11Protocol):
        _patience: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _spoke = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                longest = next(iter(silent), None)
                if longest is None:
                    self._end(FULL)
                    return
                del silent[longest]
                longest.transport.abort()
            self._settle()

        def connection_lost(self, exc: Exception | None) -> None:
            silent.pop(self, None)
            for timer in (self._patience, self._unread):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            self._spoke = True
            super().handle_events()
            self._settle()

        def on_response_complete(self) -> None:
            self._spoke = False
            super().on_response_complete()
            self._settle()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._abort_later()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(limits.write_timeout, self.transport.abort)

        def resume_writing(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
            super().resume_writing()

        def _settle(self) -> None:
            """Start the clock if the connection has no request, and stop it if it has one."""
            if self.transport.is_closing():
                silent.pop(self, None)
            elif self.cycle is None or self.cycle.response_complete:
                silent.setdefault(self)
                if self._patience is None:
                    self._patience = self.loop.call_later(limits.header_timeout, self._too_slow)
            else:
                silent.pop(self, None)
                if self._patience is not None:
                    self._patience.cancel()
                    self._patience = None

        def _too_slow(self) -> None:
            self._end(SLOW if self._spoke else b"")

        def _end(self, last: bytes) -> None:
            if last and not self.transport.is_closing():
                self.transport.write(last)
            self.transport.close()
            self._abort_later()

        def _abort_later(self) -> None:
            # A closed transport waits until the other side has read what is left.
            self.loop.call_later(limits.write_timeout, self.transport.abort)

    return BoundedProtocol


class BoundedServer(uvicorn.Server):
    """A server that takes few connections at a time from a long line; see ``ACCEPTED``. Its config needs that as its backlog."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The kernel's line is lengthened after asyncio has taken its own from the config."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)
