"""Memory that is given back when the server is quiet."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gramr2.serving.memory import MemoryKeeper, release_memory


def test_it_is_given_back_once_after_work_and_not_while_requests_come(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr("gramr2.serving.memory.release_memory", lambda: given.append("back"))

    async def day(keeper: MemoryKeeper) -> None:
        running = asyncio.create_task(keeper.run())
        await asyncio.sleep(0.3)
        assert given == [], "nothing has happened yet"
        for _ in range(10):
            keeper.worked()
            await asyncio.sleep(0.05)
        assert given == [], "requests still come"
        await asyncio.sleep(2.0)
        assert given == ["back"]
        running.cancel()

    asyncio.run(day(MemoryKeeper(idle=1.0)))
    given.clear()

    async def never_quiet(keeper: MemoryKeeper) -> None:
        running = asyncio.create_task(keeper.run())
        for _ in range(40):
            keeper.worked()
            await asyncio.sleep(0.02)
        assert given
        running.cancel()

    asyncio.run(never_quiet(MemoryKeeper(idle=0.1, most=0.2)))


def test_garbage_in_a_circle_is_collected() -> None:
    class Large:
        me: Large

    gc.disable()
    try:
        large = Large()
        large.me = large
        seen = weakref.ref(large)
        del large
        assert seen() is not None
        release_memory()
        assert seen() is None
    finally:
        gc.enable()
