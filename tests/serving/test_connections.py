"""Connections on a real socket: silent ones, slow ones, too many, and answers that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from gramr2.errors import ConfigError
from gramr2.serving.connections import (
    ACCEPTED,
    BoundedServer,
    ConnectionLimits,
    bounded_protocol,
    descriptors_for,
)

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@contextlib.contextmanager
def serving(size: int = 2, hold: threading.Event | None = None, **limits: Any) -> Iterator[int]:
    """A server that answers with so many bytes, and while ``hold`` is not set not at all. Yields its port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while hold is not None and not hold.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
        for _ in range(size // 65536):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b"x" * (size % 65536)})

    protocol = bounded_protocol(ConnectionLimits(**limits))
    config = uvicorn.Config(app, port=0, http=protocol, backlog=ACCEPTED, lifespan="off", log_level="error")
    bound = config.bind_socket()
    server = BoundedServer(config)
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def connect(port: int, first: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(first)
    return made


def rest(of: socket.socket) -> bytes:
    """All that still comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := of.recv(65536):
            found += part
    of.close()
    return found


def test_a_silent_connection_is_closed_and_a_slow_header_gets_408() -> None:
    with serving(header_timeout=0.4) as port:
        silent, slow = connect(port), connect(port, b"GET / HTTP/1.1\r\nx-a: ")
        for _ in range(3):
            time.sleep(0.05)
            slow.sendall(b"a")
        started = time.monotonic()
        assert rest(silent) == b""
        assert rest(slow).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 5


def test_a_request_that_takes_long_is_not_closed() -> None:
    hold = threading.Event()
    with serving(hold=hold, header_timeout=0.1) as port:
        asked = connect(port, GET)
        time.sleep(0.5)
        hold.set()
        assert asked.recv(100).startswith(b"HTTP/1.1 200 ")
        asked.close()


def test_bytes_after_an_answer_do_not_keep_a_connection_open_for_ever() -> None:
    with serving(header_timeout=0.4) as port:
        kept = connect(port, GET)
        assert kept.recv(1000).startswith(b"HTTP/1.1 200 ")
        kept.sendall(b"GET ")
        assert b"408" in rest(kept)


def test_a_new_connection_takes_the_place_of_the_one_that_is_silent_longest() -> None:
    with serving(connections=10, header_timeout=30.0) as port:
        idle = [connect(port, b"GET / HT") for _ in range(40)]
        for _ in range(5):
            assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
        assert rest(idle[0]) == b""
        for each in idle[1:]:
            each.close()


def test_when_every_place_has_a_request_the_next_is_told() -> None:
    hold = threading.Event()
    with serving(hold=hold, connections=3) as port:
        busy = [connect(port, GET) for _ in range(3)]
        time.sleep(0.3)
        refused = rest(connect(port))
        assert refused.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in refused
        hold.set()
        assert [each.recv(12) for each in busy] == [b"HTTP/1.1 200"] * 3
        for each in busy:
            each.close()


def test_an_answer_that_nobody_reads_does_not_hold_its_place() -> None:
    with serving(size=64 << 20, connections=1, write_timeout=0.3) as port:
        unread = connect(port, GET)
        time.sleep(1.5)
        found = rest(unread)
        assert len(found) < 64 << 20
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200


def test_places_come_from_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    limits = {"soft": 1000, "hard": 4000}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits["soft"], limits["hard"]))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    assert (descriptors_for(500), asked) == (500, [])
    assert (descriptors_for(2000), asked) == (2000, [(2128, 4000)])
    assert (descriptors_for(9000), asked[-1]) == (4000 - 128, (4000, 4000))
    limits |= {"soft": 130, "hard": 130}
    with pytest.raises(ConfigError, match="ulimit -n"):
        descriptors_for(100)
