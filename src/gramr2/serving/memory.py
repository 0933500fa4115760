"""Gives memory back to the system after a busy time."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import time

import anyio.to_thread


def release_memory() -> None:
    """Collect garbage, and return the allocator's free pages: glibc keeps those of large requests until it is told to."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class MemoryKeeper:
    """Calls ``release_memory`` after work: as soon as the server is quiet, or at the latest after ``most`` seconds.

    Args:
        idle: seconds without a request after which it is quiet.
        most: seconds from the first request.
    """

    def __init__(self, idle: float = 5.0, most: float = 60.0) -> None:
        self._idle, self._most = idle, most
        self._first: float | None = None
        self._last = 0.0

    def worked(self) -> None:
        """A request was answered."""
        self._last = time.monotonic()
        if self._first is None:
            self._first = self._last

    async def run(self) -> None:
        """Do so until cancelled."""
        while True:
            await asyncio.sleep(self._idle / 2)
            now = time.monotonic()
            if self._first is not None and (now - self._last >= self._idle or now - self._first >= self._most):
                self._first = None
                await anyio.to_thread.run_sync(release_memory)
