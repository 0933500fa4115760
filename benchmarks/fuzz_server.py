"""Requests that the server's own OpenAPI document allows, and some that it forbids, against the application in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import fuzz


def requests(seed: int, count: int) -> Iterator[tuple[str, str, float]]:
    """(what became of it, why, seconds) of each request. An answer that the document does not allow counts as a traceback.

    Raises:
        ImportError: schemathesis is not installed.
    """
    import schemathesis
    from fastapi.testclient import TestClient
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    from gramr2.judging.judge import Judge, Sampling
    from gramr2.judging.scripted import scripted
    from gramr2.serving.app import create_app
    from gramr2.serving.middleware import ServerLimits
    from gramr2.serving.model import Model

    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
    # A completion that waits for its group is not worth half a minute.
    app = create_app(Model(lambda: judge), limits=ServerLimits(deadline=1.0))
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.01)
        schema: Any = schemathesis.openapi.from_dict(app.openapi())
        # Requests without a body have nothing to vary.
        operations = [each.ok() for each in schema.get_all_operations() if each.ok().body]
        plan = [(operation, mode) for operation in operations for mode in schemathesis.GenerationMode]
        for place, (operation, mode) in enumerate(plan):
            wanted = count // len(plan) + (place < count % len(plan))
            cases = settings(
                max_examples=wanted,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            fates = _Fates(client)
            seeded(seed)(cases(given(operation.as_strategy(generation_mode=mode))(fates.of)))()
            yield from fates.found[:wanted]


class _Fates:
    """What became of the requests so far."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.found: list[tuple[str, str, float]] = []

    def of(self, case: Any) -> None:
        """Send one."""
        begun = time.monotonic()
        self.found.append((*_fate(case, self._client), time.monotonic() - begun))


def _fate(case: Any, client: Any) -> tuple[str, str]:
    asked = case.as_transport_kwargs(base_url="http://testserver")
    if "data" in asked:
        asked["content"] = asked.pop("data")
    answer = client.request(**{name: value for name, value in asked.items() if name not in ("cookies",)})
    problem = _problem(case, answer)
    if problem:
        return fuzz.TRACEBACK, f"{case.method} {case.path}: {answer.status_code}: {problem}"
    return (fuzz.ACCEPTED if answer.status_code < 400 else fuzz.REFUSED), ""


def _problem(case: Any, answer: Any) -> str:
    """What the document forbids, or nothing."""
    if answer.status_code == 500:
        return answer.text[:100]
    documented = case.operation.definition.raw["responses"]
    if str(answer.status_code) not in documented and answer.status_code not in (404, 405, 415):
        return "this status is not documented"
    if answer.status_code >= 400 and not (
        isinstance(answer.json(), dict) and answer.json().keys() & {"detail", "error"}
    ):
        return "a refusal without a reason"
    return ""
