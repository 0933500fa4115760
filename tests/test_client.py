"""The client against the real application, and against a transport that fails in the ways that networks do."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from conftest import make
from gramr2.client import Client, JournaledClient, ServerError
from gramr2.comparison import Comparison, Message, ResponseSet, SingleResponse
from gramr2.errors import ConfigError
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judging.template import JudgeTemplate
from gramr2.serving.app import create_app
from gramr2.serving.model import Model
from gramr2.wire import JudgeResponse

PROMPT = (Message("user", "Say x."),)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
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
            assert each.id == f"scripted:longer/{JudgeTemplate().hash}"
            assert server.get("/readyz").json() == {"status": "ready"}, "who asks needs no token, and is told nothing"
            assert server.get("/v1/judge").status_code == 401
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
            ranked = each.rerank("Say x.", ["x", "xxx", "xx"], top_n=2)
            assert [(found.index, found.relevance_score) for found in ranked.results] == [(1, 1.0), (2, 0.5)]
            assert [found.score for found in each.score_texts("Say x.", ["x", "xxx", "xx"]).data] == [0.0, 1.0, 0.5]
            classes = each.classify([make("1"), make("2", "xxx", "x")])
            assert [found.label for found in classes.data] == ["B", "A"]
            assert classes.data[0].probs and sum(classes.data[0].probs) == pytest.approx(1)
            with pytest.raises(ServerError, match="422: .*at most 64") as refused:
                each.rerank("Say x.", ["x"] * 65)
            with ThreadPoolExecutor(3) as pool:
                texts = ("x", "xxx", "xx")
                sent = [pool.submit(each.cohort, "step-1", 3, PROMPT, text, wait=20) for text in texts]
                shares = [share.result() for share in sent]
            assert [(share.reward, share.arrived) for share in shares] == [(0.0, 3), (1.0, 3), (0.5, 3)]
            with pytest.raises(ServerError, match="409: the group 'step-1' is closed") as refused:
                each.cohort("step-1", 3, "Say x.", "late")
            assert refused.value.status == 409
            alone = each.cohort("step-2", 2, "Say x.", "x", wait=0)
            assert (alone.reward, alone.judge.model) == (None, "scripted:longer") and alone.reason


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: httpx.Response(429, headers={"retry-after": "7"}, json={"detail": "busy"}),
        lambda: httpx.Response(503, json={"detail": "loading"}),
        lambda: httpx.ConnectError("refused"),
        lambda: httpx.RemoteProtocolError("cut off"),
        lambda: httpx.ReadError(""),
        lambda: httpx.WriteError("reset by peer"),
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
    with pytest.raises(ServerError) as refused:
        each.judge([make()])
    assert type(refused.value) is ServerError
    assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 401, 408, 413, 422, 500, 504])
def test_what_would_fail_again_is_not_sent_again(status: int) -> None:
    each, seen = client(httpx.Response(status, json={"detail": "the reason"}))
    with pytest.raises(ServerError, match="the reason") as error:
        each.judge([make()])
    assert (error.value.status, len(seen)) == (status, 1)


def test_what_has_no_words_is_told_by_its_kind() -> None:
    for trouble in (httpx.ReadError(""), httpx.ReadTimeout("")):
        with pytest.raises(ServerError, match=type(trouble).__name__):
            client(trouble, retries=0)[0].judge([make()])


def test_a_timeout_is_an_error_with_a_reason() -> None:
    each, seen = client(httpx.ReadTimeout("too slow"))
    with pytest.raises(ServerError, match="no answer: too slow"):
        each.judge([make()])
    assert len(seen) == 1
    assert client(httpx.ConnectError("refused"))[0].ready() is False


def serving(most: int) -> tuple[Client, list[int]]:
    """A server that gets through so many comparisons before its deadline, and the sizes of what it was asked."""
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"model": "m", "template": "t"})
        rows = json.loads(request.content)["comparisons"]
        sizes.append(len(rows))
        if len(rows) > most:
            return httpx.Response(504, json={"detail": "not in time"})
        empty = {
            "confidence": 0.9,
            "agreement": None,
            "order_flip": False,
            "coverage": 1.0,
            "readings": {},
            "reason": None,
        }
        told = {"probabilities": {"A": 0.9, "B": 0.1, "tie": 0.0}, "rationale": None, "rationale_order": None}
        label = [None if row["responses"][0] == "none" else "A" for row in rows]
        decisions = [{"id": row["id"], "label": each} | empty | told for row, each in zip(rows, label, strict=True)]
        return httpx.Response(200, json={"judge": {"model": "m", "template": "t"}, "decisions": decisions})

    return Client("http://judge", retries=0, transport=httpx.MockTransport(answer)), sizes


def test_what_is_too_much_for_a_request_is_halved() -> None:
    each, sizes = serving(10)
    decisions = each.compare([make(str(i)) for i in range(40)])
    assert [d.id for d in decisions] == [str(i) for i in range(40)]
    assert sizes == [32, 16, 8, 8, 16, 8, 8, 8]
    slow, _ = serving(0)
    with pytest.raises(ServerError, match="504: not in time"):
        slow.compare([make()])


def test_a_servers_decisions_are_kept_as_they_come(tmp_path: Path) -> None:
    comparisons = [make(str(i)) for i in range(40)]
    broken, _ = serving(40)
    real, asked = broken.judge, []

    def judge(part: list[Comparison], *, seed: int = 0) -> JudgeResponse:
        asked.append(len(part))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(part, seed=seed)

    broken.judge = judge  # type: ignore[method-assign, assignment]
    with Journal(tmp_path / "j") as journal, pytest.raises(KeyboardInterrupt):
        JournaledClient(broken, journal).compare(comparisons)
    whole, sizes = serving(40)
    with Journal(tmp_path / "j") as journal:
        found = JournaledClient(whole, journal).compare(comparisons)
    assert sizes == [8]
    assert found == serving(40)[0].compare(comparisons)


def test_what_a_server_did_not_decide_is_asked_again(tmp_path: Path) -> None:
    each, sizes = serving(40)
    some = [make("1", "none"), make("2")]
    with Journal(tmp_path / "j") as journal:
        kept = JournaledClient(each, journal)
        assert [d.label for d in kept.compare(some)] == [None, "A"]
        kept.compare(some)
        kept.compare(some, seed=1)
    assert sizes == [2, 1, 2]


@pytest.mark.parametrize("url", ["http://h:x", "http://[bad]x:1"])
def test_what_is_no_address_is_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="not the address of a server"):
        Client(url)


@pytest.mark.parametrize("token", ["two\nlines", "пароль"])
def test_what_is_no_token_is_a_sentence(token: str) -> None:
    with pytest.raises(ConfigError, match="set GRAMR2_TOKEN again"):
        Client("http://judge", token=token)


@pytest.mark.parametrize("answer", [b"", b"<html>a page</html>", b"[]", b'{"judge": null}'])
def test_another_server_is_one_sentence(answer: bytes) -> None:
    each, _ = client(httpx.Response(200, content=answer))
    with pytest.raises(ServerError, match="is the address right") as error:
        each.judge([make()])
    assert "\n" not in str(error.value)


def test_an_answer_that_cannot_be_unpacked_is_a_sentence() -> None:
    each, _ = client(httpx.DecodingError("not gzip"))
    with pytest.raises(ServerError, match="no answer: not gzip"):
        each.judge([make()])
