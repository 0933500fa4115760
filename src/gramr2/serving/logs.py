"""Bounded logs: whoever can make a server log a line must not be able to fill its disk."""

from __future__ import annotations

import logging
import threading
import time

LOGGERS = ("asyncio", "uvicorn.error", "gramr2.serving.openrlhf")
MOST_KINDS = 256


class RepeatFilter(logging.Filter):
    """Lets so many messages of a kind through in a period; the first of the next period says how many were left out.

    Args:
        most: messages of a kind in a period.
        period: seconds.
    """

    def __init__(self, most: int = 5, period: float = 60.0) -> None:
        super().__init__()
        self._most, self._period = most, period
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        now = time.monotonic()
        # A message that holds an address or a number is of the same kind as the next one.
        kind = (record.name, "".join(each for each in str(record.msg)[:60] if not each.isdigit()))
        with self._lock:
            if len(self._seen) >= MOST_KINDS and kind not in self._seen:
                self._seen.clear()
            start, count = self._seen.get(kind, [now, 0])
            left_out = 0.0
            if now - start >= self._period:
                left_out, start, count = max(0.0, count - self._most), now, 0
            self._seen[kind] = [start, count + 1]
        if count >= self._most:
            return False
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out:.0f} more like it were left out)"
            record.args = None
        return True


def bound_logs() -> None:
    """Put a ``RepeatFilter`` on the loggers that clients can make speak."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, RepeatFilter) for each in logger.filters):
            logger.addFilter(RepeatFilter())
