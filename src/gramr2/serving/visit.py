"""What the server knows about a request besides its body: when it came, and whether somebody still waits for the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

KEY = "gramr2.visit"
"""where it is in an ASGI scope"""


@dataclass
class Visit:
    """A request with a body of ``size`` bytes; ``arrived`` is on the clock of ``time.monotonic``. Threads may share it."""

    size: int = 0
    arrived: float = field(default_factory=time.monotonic)
    gone: bool = False
    """whether the client has hung up"""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _then: list[Callable[[], None]] = field(default_factory=list)

    def leave(self) -> None:
        """The client has hung up: run what was registered."""
        with self._lock:
            self.gone, callbacks = True, [*self._then]
            self._then.clear()
        for each in callbacks:
            each()

    def on_leave(self, callback: Callable[[], None]) -> None:
        """Run this when the client hangs up, or now if it has already."""
        with self._lock:
            if not self.gone:
                self._then.append(callback)
                return
        callback()
