"""Logs that a client cannot fill."""

from __future__ import annotations

import logging

import pytest

from gramr2.serving.logs import RepeatFilter


def test_a_message_of_a_kind_is_logged_a_few_times_and_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gramr2.serving.logs.time.monotonic", lambda: now[0])
    filtered = RepeatFilter(most=2, period=60)

    def log(text: str) -> str | None:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 0, text, None, None)
        return record.getMessage() if filtered.filter(record) else None

    assert [log(f"accept failed on {n}") for n in range(100)] == ["accept failed on 0", "accept failed on 1"] + [
        None
    ] * 98
    assert log("something else") == "something else"
    now[0] = 61.0
    assert log("accept failed on 7") == "accept failed on 7 (98 more like it were left out)"
    assert log("accept failed on 8") == "accept failed on 8"
    for n in range(10_000):
        log("kind " + "x" * (n % 40) + chr(0x4E00 + n))
    assert len(filtered._seen) <= 256
