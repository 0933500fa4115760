"""A typed client of the reward server. It tries again where that makes sense, and no longer than it was told."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from gramr2.comparison import Comparison, Label, Order, ResponseSet, SingleResponse
from gramr2.errors import GramrError
from gramr2.judgment import Decision, LabelProbabilities, Reading
from gramr2.serving.schemas import (
    MOST_ITEMS,
    DecisionBody,
    JudgeResponse,
    RankResponse,
    ReadyResponse,
    ScoreResponse,
)

AGAIN = frozenset({429, 503})
"""statuses after which the same request may succeed"""
LONGEST_PAUSE = 60.0
"""seconds; a server that wants more is asked again sooner"""
Body = TypeVar("Body", bound=BaseModel)


class ServerError(GramrError):
    """The server refused a request or cannot be reached; ``status`` is None in the second case."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Talks to ``gramr2 serve``; a ``PreferenceModel``.

    Args:
        url: of the server, such as http://127.0.0.1:8000.
        token: what it asks for.
        timeout: seconds for one answer.
        retries: times that a request is sent again after 429, 503 or no connection.
        transport: another way to the server, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 180.0,
        retries: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries

    @property
    def id(self) -> str:
        """The served judge's; the server's address where it does not say.

        Raises:
            ServerError: it has no model yet, or cannot be reached.
        """
        found = _read("/readyz", self._send("GET", "/readyz"), ReadyResponse)
        return str(self._http.base_url) if found.judge is None else found.judge.model

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``; in requests of up to 256. Votes stay on the server. Raises as ``judge`` does."""
        parts = [comparisons[at : at + MOST_ITEMS] for at in range(0, len(comparisons), MOST_ITEMS)]
        return [_decision(body) for part in parts for body in self.judge(part, seed=seed).decisions]

    def judge(self, comparisons: Sequence[Comparison], *, seed: int = 0) -> JudgeResponse:
        """The server's own answer, decisions in the order asked.

        Raises:
            ServerError: the server refuses, or cannot be reached.
        """
        rows = [{"id": each.id, "prompt": _turns(each), "responses": each.responses} for each in comparisons]
        return self._ask("/v1/judge", {"comparisons": rows, "seed": seed}, JudgeResponse)

    def rank(self, responses: ResponseSet, *, seed: int = 0, **options: Any) -> RankResponse:
        """A ranking; options are ``scheme``, ``budget`` and ``aggregation``. Raises as ``judge`` does."""
        body = {"prompt": _turns(responses), "responses": responses.responses, "seed": seed} | options
        return self._ask("/v1/rank", body, RankResponse)

    def score(self, items: Sequence[SingleResponse], *, by: str = "reference", seed: int = 0) -> ScoreResponse:
        """Scores in the order asked. Raises as ``judge`` does."""
        rows = [
            {"id": each.id, "prompt": _turns(each), "response": each.response, "references": each.references}
            for each in items
        ]
        return self._ask("/v1/score", {"items": rows, "by": by, "seed": seed}, ScoreResponse)

    def ready(self) -> bool:
        """Whether the server has its model."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, path: str, body: dict[str, Any], kind: type[Body]) -> Body:
        return _read(path, self._send("POST", path, body), kind)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            pause = min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.5)
            try:
                response = self._http.request(method, path, json=body)
            except (httpx.ConnectError, httpx.RemoteProtocolError) as error:
                # Asking again is safe: the same request has the same answer.
                if last:
                    raise ServerError(f"{self._http.base_url}: the server cannot be reached: {error}") from error
            except httpx.TransportError as error:
                raise ServerError(f"{self._http.base_url}{path}: no answer: {error or type(error).__name__}") from error
            else:
                if response.is_success:
                    return response
                if response.status_code not in AGAIN or last or _hopeless(response):
                    raise ServerError(f"{path}: {response.status_code}: {_detail(response)}", response.status_code)
                pause = max(pause, min(LONGEST_PAUSE, _seconds(response)))
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")


def _decision(body: DecisionBody) -> Decision:
    def belief(values: dict[str, float]) -> LabelProbabilities:
        return LabelProbabilities(*(values[label.value] for label in Label))

    return Decision(
        body.id,
        (),
        None if body.label is None else Label(body.label),
        None if body.probabilities is None else belief(body.probabilities),
        body.confidence,
        body.agreement,
        body.order_flip,
        body.coverage,
        {Reading(name): belief(values) for name, values in body.readings.items()},
        None if body.rationale is None else (body.rationale, Order(body.rationale_order or Order.AB)),
    )


def _turns(item: Comparison | ResponseSet | SingleResponse) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in item.prompt]


def _read(path: str, response: httpx.Response, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise ServerError(f"{path}: this is not an answer of a gramr2 server: {error}", response.status_code) from error


def _hopeless(response: httpx.Response) -> bool:
    """A gramr2 server whose model cannot be loaded says that asking again is of no use."""
    try:
        return response.json().get("retry") is False
    except (ValueError, AttributeError):
        return False


def _seconds(response: httpx.Response) -> float:
    """What ``Retry-After`` says in seconds; 0 where it says nothing, or a date, as proxies do."""
    try:
        return float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0.0


def _detail(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
    if isinstance(detail, list) and all(isinstance(each, dict) for each in detail):
        return "; ".join(f"{each.get('loc')}: {each.get('msg')}" for each in detail)
    return str(detail)
