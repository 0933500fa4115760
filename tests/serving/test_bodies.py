"""Large bodies wait for one another, small ones for none."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gramr2.serving import bodies
from gramr2.serving.bodies import LARGE, Gate, gated


@pytest.mark.parametrize(("pause", "held_up"), [(1e9, True), (0.0, False)])
def test_the_next_one_waits_for_a_pause(monkeypatch: pytest.MonkeyPatch, pause: float, held_up: bool) -> None:
    monkeypatch.setattr(bodies, "PAUSE", pause)

    async def two() -> bool:
        gate = Gate()
        assert await gate.parsed(b"[1, 2]") == [1, 2]
        try:
            await asyncio.wait_for(gate.parsed(b"[3]"), 0.2)
        except TimeoutError:
            return True
        return False

    assert asyncio.run(two()) is held_up


def test_a_body_that_is_no_json_lets_the_next_one_through() -> None:
    async def two() -> None:
        gate = Gate()
        with pytest.raises(ValueError):
            await gate.parsed(b"{" * 10)
        assert await asyncio.wait_for(gate.parsed(b"[1]"), 5) == [1]

    asyncio.run(two())


def test_only_large_bodies_pass_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []
    original = Gate.parsed

    async def parsed(self: Gate, body: bytes) -> object:
        passed.append(len(body))
        return await original(self, body)

    monkeypatch.setattr(bodies.Gate, "parsed", parsed)
    app = FastAPI()
    app.router.route_class = gated(Gate())

    @app.post("/sum")
    def total(values: list[int]) -> int:
        return sum(values)

    with TestClient(app) as client:
        assert client.post("/sum", json=[1, 2]).json() == 3
        assert client.post("/sum", json=[1] * LARGE).json() == LARGE
        assert client.post("/sum", content="[" * 9, headers={"content-type": "application/json"}).status_code == 422
        assert (
            client.post("/sum", content="[" + " " * LARGE, headers={"content-type": "application/json"}).status_code
            == 422
        )
    assert len(passed) == 2
