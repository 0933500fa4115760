"""Large bodies are parsed one at a time, with pauses: parsing one holds up everybody, as it neither waits nor gives way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

LARGE = 1 << 18
"""bytes; parsing as many takes about ten milliseconds"""
PAUSE = 2.0
"""how many times as long as it took to parse one the next one waits, so that a third of the time goes to them at most"""


class Gate:
    """Lets one at a time through, and the next one after a pause. Belongs to the loop that it is first used in."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    async def parsed(self, body: bytes) -> Any:
        """What ``json.loads`` makes of a body; raises as that does."""
        await self._free.acquire()
        started = time.perf_counter()
        try:
            return json.loads(body)
        finally:
            asyncio.get_running_loop().call_later(PAUSE * (time.perf_counter() - started), self._free.release)


class GatedRequest(Request):
    """A request whose large body passes a gate."""

    def __init__(self, request: Request, gate: Gate) -> None:
        super().__init__(request.scope, request.receive)
        self._gate = gate

    async def json(self) -> Any:
        """The body."""
        body = await self.body()
        return await self._gate.parsed(body) if len(body) > LARGE else json.loads(body)


def gated(gate: Gate) -> type[APIRoute]:
    """A kind of route whose requests pass a gate."""

    class GatedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handled(request: Request) -> Response:
                return await handler(GatedRequest(request, gate))

            return handled

    return GatedRoute
