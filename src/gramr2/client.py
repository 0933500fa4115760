"""A typed client of the reward server. It retries where that makes sense, up to a given number of times."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from gramr2.comparison import Comparison, Label, Message, Order, Prompt, ResponseSet, SingleResponse, as_messages
from gramr2.errors import ConfigError, GramrError, reason_of
from gramr2.journal import Journal, address
from gramr2.judgment import Decision, LabelProbabilities, Reading
from gramr2.wire import (
    DecisionBody,
    JudgeId,
    JudgeResponse,
    RankResponse,
    ScoreResponse,
)
from gramr2.wire.cohort import CohortResponse
from gramr2.wire.lists import ClassifyResponse, RerankResponse, TextScores

TOKEN = "GRAMR2_TOKEN"
"""environment variable with a server's token"""
AGAIN = frozenset({429, 503})
"""statuses after which the same request may succeed"""
TOO_MUCH = frozenset({413, 504})
"""statuses of a request that is too large for the judge, or was not judged in time; half of it may succeed"""
TOGETHER = 32
"""comparisons per request: as many as a server judges together"""
LONGEST_PAUSE = 60.0
"""seconds; a server that asks for more is retried sooner"""
Body = TypeVar("Body", bound=BaseModel)


class ServerError(GramrError):
    """The server refused a request or cannot be reached; ``status`` is None in the second case."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Talks to ``gramr2 serve``; a ``PreferenceModel``.

    Args:
        url: the server's address, such as http://127.0.0.1:8000.
        token: the server's bearer token.
        timeout: seconds to wait for one answer.
        retries: how often a request is sent again after 429, 503 or a connection that failed or was cut; never after ``timeout``.
        transport: a replacement for the HTTP transport, for tests.

    Raises:
        ConfigError: the address or the token cannot be one.
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
        if token and not (token.isascii() and token.isprintable()):
            raise ConfigError(
                f"the server's token holds characters that no token has, such as a line break: set {TOKEN} again"
            )
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            # Members of a cohort wait for each other, each on a connection of its own.
            limits = httpx.Limits(max_connections=None)
            self._http = httpx.Client(
                base_url=url, headers=headers, timeout=timeout, transport=transport, limits=limits
            )
        except httpx.InvalidURL as error:
            raise ConfigError(
                f"{url} is not the address of a server ({error}): write it like http://127.0.0.1:8000"
            ) from error
        self._retries = retries

    @property
    def id(self) -> str:
        """The id of the served judge, with that of its prompt. Raises as ``judge`` does."""
        found = _read("/v1/judge", self._send("GET", "/v1/judge"), JudgeId)
        return f"{found.model}/{found.template}"

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``; sends requests of up to 32 comparisons, and halves those that the server cannot judge in
        time or finds too large. Votes stay on the server. Raises as ``judge`` does."""
        return [decision_from(body) for body in self.bodies(comparisons, seed)]

    def bodies(self, comparisons: Sequence[Comparison], seed: int = 0) -> Iterator[DecisionBody]:
        """The server's decisions one by one, as their requests are answered. Raises as ``judge`` does."""
        parts = [comparisons[at : at + TOGETHER] for at in range(0, len(comparisons), TOGETHER)]
        while parts:
            part = parts.pop(0)
            try:
                yield from self.judge(part, seed=seed).decisions
            except ServerError as error:
                if error.status not in TOO_MUCH or len(part) == 1:
                    raise
                half = len(part) // 2
                parts[:0] = [part[:half], part[half:]]

    def judge(self, comparisons: Sequence[Comparison], *, seed: int = 0) -> JudgeResponse:
        """The server's own answer, with decisions in the order given.

        Raises:
            ServerError: the server refuses, or cannot be reached.
        """
        rows = [{"id": each.id, "prompt": _turns(each.prompt), "responses": each.responses} for each in comparisons]
        return self._ask("/v1/judge", {"comparisons": rows, "seed": seed}, JudgeResponse)

    def rank(self, responses: ResponseSet, *, seed: int = 0, **options: Any) -> RankResponse:
        """A ranking; options are ``scheme``, ``budget`` and ``aggregation``. Raises as ``judge`` does."""
        body = {"prompt": _turns(responses.prompt), "responses": responses.responses, "seed": seed} | options
        return self._ask("/v1/rank", body, RankResponse)

    def score(self, items: Sequence[SingleResponse], *, by: str = "reference", seed: int = 0) -> ScoreResponse:
        """Scores in the order given. Raises as ``judge`` does."""
        rows = [
            {"id": each.id, "prompt": _turns(each.prompt), "response": each.response, "references": each.references}
            for each in items
        ]
        return self._ask("/v1/score", {"items": rows, "by": by, "seed": seed}, ScoreResponse)

    def score_texts(
        self,
        query: str,
        texts: Sequence[str],
        *,
        by: Literal["siblings", "rationale"] = "siblings",
        seed: int = 0,
    ) -> TextScores:
        """How well each text answers the query: its chance to beat another one, or a grade from 1 to 10 by itself.

        Args:
            query: a text.
            texts: up to 64; up to 256 that are graded.
            by: the other texts, or a rationale.
            seed: for the votes.

        Raises:
            ServerError: the server refuses, or cannot be reached.
        """
        body = {"text_1": query, "text_2": [*texts], "by": by, "seed": seed}
        return self._ask("/v1/score", body, TextScores)

    def rerank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None, seed: int = 0
    ) -> RerankResponse:
        """Documents, 2 to 64, as answers to the query, the best first; the best ``top_n`` of them. Raises as ``judge`` does."""
        body = {"query": query, "documents": [*documents], "top_n": top_n, "seed": seed}
        return self._ask("/v1/rerank", body, RerankResponse)

    def classify(self, comparisons: Sequence[Comparison], *, seed: int = 0) -> ClassifyResponse:
        """A label and the probabilities of A, B and tie for each of up to 256 comparisons. Raises as ``judge`` does."""
        rows = [{"prompt": _turns(each.prompt), "responses": each.responses} for each in comparisons]
        return self._ask("/classify", {"input": rows, "seed": seed}, ClassifyResponse)

    def cohort(
        self,
        group: str,
        size: int,
        prompt: Prompt,
        response: str,
        *,
        wait: float | None = None,
        budget: int | None = None,
        seed: int = 0,
    ) -> CohortResponse:
        """The chance of a completion to beat another one of its group, whose completions are sent by themselves.

        It returns when the others have come, so each member of a group needs a thread of its own.

        Args:
            group: a name that is used for this group alone, such as ``step-1/row-7``.
            size: completions of the group, 2 to 64.
            prompt: text or chat messages.
            response: the completion.
            wait: seconds after which the group is rewarded as it is; default: 30. Less than the client's timeout.
            budget: comparisons for the whole group; default: each completion against each other.
            seed: for the votes.

        Raises:
            DataError: the prompt holds something that is not text.
            ServerError: the group was rewarded before this completion came (409), the server refuses, or cannot be reached.
        """
        body = {"group": group, "size": size, "prompt": _turns(as_messages(prompt)), "response": response, "seed": seed}
        return self._ask("/v1/cohort", body | {"wait": wait, "budget": budget}, CohortResponse)

    def ready(self) -> bool:
        """Whether the server has its model."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, path: str, body: dict[str, Any], kind: type[Body]) -> Body:
        return _read(path, self._send("POST", path, body), kind)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        # Retrying is safe: the same request has the same answer, or, of a cohort that was rewarded meanwhile, a refusal.
        again = Retrying(
            stop=stop_after_attempt(self._retries + 1),
            wait=_pause,
            retry=retry_if_exception_type(_PassingError),
            reraise=True,
        )
        try:
            return again(self._once, method, path, body)
        except _PassingError as error:
            raise ServerError(str(error), error.status) from error.__cause__

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise _PassingError(f"{self._http.base_url}: the server cannot be reached: {_said(error)}") from error
        except httpx.RequestError as error:
            raise ServerError(f"{self._http.base_url}{path}: no answer: {_said(error)}") from error
        if response.is_success:
            return response
        said, status = f"{path}: {response.status_code}: {_detail(response)}", response.status_code
        if status in AGAIN and not _hopeless(response):
            raise _PassingError(said, status, _seconds(response))
        raise ServerError(said, status)


class _PassingError(ServerError):
    """A refusal after which the same request may succeed; ``after`` is the number of seconds that the server says to wait."""

    def __init__(self, message: str, status: int | None = None, after: float = 0.0) -> None:
        super().__init__(message, status)
        self.after = after


def _pause(state: RetryCallState) -> float:
    """Seconds to wait: longer each time, with jitter, and at least as long as the server asks, up to ``LONGEST_PAUSE``."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, _PassingError) else 0.0
    own = min(30.0, 0.5 * 2.0 ** (state.attempt_number - 1)) * random.uniform(0.5, 1.5)
    return max(own, min(LONGEST_PAUSE, asked))


class JournaledClient:
    """Keeps a client's decisions in a journal as they arrive, by judge, comparison and seed; abstentions are asked for again."""

    def __init__(self, client: Client, journal: Journal) -> None:
        self.client, self.journal = client, journal
        self.id = client.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``Client.compare``."""
        keys = [address(self.id, seed, each.id, each.prompt_text, each.responses) for each in comparisons]
        found = {i: record for i, key in enumerate(keys) if (record := self.journal.read(key)) is not None}
        missing = [i for i in range(len(keys)) if i not in found]
        for i, body in zip(missing, self.client.bodies([comparisons[i] for i in missing], seed), strict=True):
            found[i] = {"decision": body.model_dump(mode="json")}
            if body.label is not None:
                self.journal.write(keys[i], found[i])
        return [decision_from(DecisionBody.model_validate(found[i]["decision"])) for i in range(len(keys))]


def decision_from(body: DecisionBody) -> Decision:
    """A decision without its votes."""

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
        {Reading(name): belief(values) for name, values in body.readings.items() if name in {*Reading}},
        None if body.rationale is None else (body.rationale, Order(body.rationale_order or Order.AB)),
    )


def _turns(prompt: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in prompt]


def _read(path: str, response: httpx.Response, kind: type[Body]) -> Body:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise ServerError(
            f"{path}: this is not an answer from a gramr2 server ({reason_of(error)}): is the address right?",
            response.status_code,
        ) from error


def _said(error: httpx.RequestError) -> str:
    """What an error says; httpx has nothing to say of a reset connection but its kind."""
    return str(error) or type(error).__name__


def _hopeless(response: httpx.Response) -> bool:
    """Whether the server says that retrying is of no use, as it does if its model cannot be loaded."""
    try:
        return response.json().get("retry") is False
    except (ValueError, AttributeError):
        return False


def _seconds(response: httpx.Response) -> float:
    """The seconds that ``Retry-After`` gives; 0 if there is none, or it is a date, as proxies send."""
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
