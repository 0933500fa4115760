"""The client against the real application, and against a transport that fails in the ways that networks do."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi.testclient import TestClient

from conftest import make
from gramr2.client import Client, ServerError
from gramr2.comparison import Message, ResponseSet, SingleResponse
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.app import create_app
from gramr2.serving.model import Model

PROMPT = (Message("user", "Say x."),)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("gramr2.client.time.sleep", slept.append)
    return slept


def client(*answers: httpx.Response | Exception, retries: int = 3) -> tuple[Client, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        found = answers[min(len(seen), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return Client("http://judge", token="t", retries=retries, transport=httpx.MockTransport(answer)), seen


def good() -> httpx.Response:
    return httpx.Response(200, json={"judge": {"model": "m", "template": "t"}, "decisions": []})


def test_it_speaks_to_the_server() -> None:
    app = create_app(Model(lambda: Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))), token="t")
    with TestClient(app) as server:

        def passed_on(request: httpx.Request) -> httpx.Response:
            answer = server.request(
                request.method, request.url.path, content=request.content, headers=dict(request.headers)
            )
            return httpx.Response(answer.status_code, content=answer.content, headers=dict(answer.headers))

        with Client("http://judge", token="t", transport=httpx.MockTransport(passed_on)) as each:
            while not each.ready():
                pass
            assert [d.label for d in each.judge([make("1"), make("2", "xxx", "x")]).decisions] == ["B", "A"]
            assert each.id == "scripted:longer"
            local = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0)).compare([make("1")])[0]
            (decision,) = each.compare([make("1")])
            assert (decision.label, decision.probabilities, decision.order_flip, decision.coverage) == (
                local.label,
                local.probabilities,
                local.order_flip,
                local.coverage,
            )
            assert (decision.rationale, decision.rationale_order) == (local.rationale, local.rationale_order)
            assert (decision.judgments, decision.best) == ((), None), "votes stay on the server"
            assert [d.id for d in each.compare([make(str(i)) for i in range(300)])] == [str(i) for i in range(300)]
            assert each.rank(ResponseSet("r", PROMPT, ("x", "xx")), scheme="knockout").ranking["best"] == 1
            assert each.score([SingleResponse("s", PROMPT, "xx", ("x",))]).scores[0].score == 1.0
            with pytest.raises(ServerError, match="there is no reference") as refused:
                each.score([SingleResponse("s", PROMPT, "xx")])
            assert refused.value.status == 422


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: httpx.Response(429, headers={"retry-after": "7"}, json={"detail": "busy"}),
        lambda: httpx.Response(503, json={"detail": "loading"}),
        lambda: httpx.ConnectError("refused"),
        lambda: httpx.RemoteProtocolError("cut off"),
    ],
)
def test_it_tries_again_and_not_for_ever(
    trouble: Callable[[], httpx.Response | Exception], pauses: list[float]
) -> None:
    each, seen = client(trouble(), trouble(), good())
    assert each.judge([make()]).judge.model == "m"
    assert len(seen) == 3
    assert len(pauses) == 2
    assert seen[0].headers["authorization"] == "Bearer t"
    if isinstance(trouble(), httpx.Response) and "retry-after" in trouble().headers:
        assert min(pauses) >= 7
    each, seen = client(trouble(), retries=2)
    with pytest.raises(ServerError):
        each.judge([make()])
    assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 401, 408, 413, 422, 500, 504])
def test_what_would_fail_again_is_not_sent_again(status: int) -> None:
    each, seen = client(httpx.Response(status, json={"detail": "the reason"}))
    with pytest.raises(ServerError, match="the reason") as error:
        each.judge([make()])
    assert (error.value.status, len(seen)) == (status, 1)


def test_a_timeout_is_an_error_with_a_reason() -> None:
    each, seen = client(httpx.ReadTimeout("too slow"))
    with pytest.raises(ServerError, match="no answer: too slow"):
        each.judge([make()])
    assert len(seen) == 1
    assert client(httpx.ConnectError("refused"))[0].ready() is False
