"""A real server on a free port of this machine, in a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from gramr2.judging.judge import Judge
from gramr2.serving.app import create_app
from gramr2.serving.middleware import ServerLimits
from gramr2.serving.model import Model


@contextmanager
def running(
    judge: Judge, *, token: str | None = None, model: dict[str, Any] | None = None, **limits: Any
) -> Iterator[str]:
    """The address of a server that is ready; it is ended at the end."""
    served = Model(lambda: judge, **model or {})
    app = create_app(served, token=token, limits=ServerLimits(**limits))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until = time.monotonic() + 30
        while not served.ready:
            assert time.monotonic() < until, "never ready"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()
