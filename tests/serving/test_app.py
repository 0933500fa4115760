"""The server as its clients see it: what each path answers, and what happens to what it cannot answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.client import decision_from
from gramr2.comparison import Comparison
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judging.second_view import SecondView
from gramr2.judgment import Reading
from gramr2.serving.app import create_app
from gramr2.serving.middleware import LimitsMiddleware, ServerLimits
from gramr2.serving.model import Model
from gramr2.wire import DecisionBody

PAIR = {"prompt": "Say x.", "responses": ["x", "xxx"]}


def served(judge: str | Judge = "longer", token: str | None = None, **limits: Any) -> TestClient:
    made = judge if isinstance(judge, Judge) else Judge(scripted(judge), sampling=Sampling(votes=1, temperature=0))
    client = TestClient(create_app(Model(lambda: made), limits=ServerLimits(**limits), token=token))
    client.headers |= {"authorization": f"Bearer {token}"} if token else {}
    return client


def until_ready(client: TestClient) -> None:
    for _ in range(2000):
        if client.get("/readyz").status_code == 200:
            return
    raise AssertionError("never ready")


@pytest.fixture
def client() -> Iterator[TestClient]:
    with served() as each:
        until_ready(each)
        yield each


def test_decisions_name_who_made_them(client: TestClient) -> None:
    chat = {"id": "c", "prompt": [{"role": "user", "content": "Say x."}], "responses": ["xx", "x"]}
    answer = client.post("/v1/judge", json={"comparisons": [PAIR, chat]})
    assert answer.status_code == 200
    body = answer.json()
    assert body["judge"]["model"] == "scripted:longer"
    assert len(body["judge"]["template"]) == 12
    assert [(each["id"], each["label"], each["coverage"]) for each in body["decisions"]] == [
        ("0", "B", 1.0),
        ("c", "A", 1.0),
    ]
    assert body["decisions"][0]["reason"] is None


def test_a_second_view_is_a_reading_and_part_of_the_judges_name() -> None:
    class Second:
        id = "second"

        def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
            return [-9.0] * len(comparisons)

    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0), view=SecondView(Second(), 1.0))
    with served(judge) as client:
        until_ready(client)
        body = client.post("/v1/judge", json={"comparisons": [PAIR | {"responses": ["xxx", "x"]}]}).json()
        assert body["judge"]["model"] == client.get("/v1/judge").json()["model"] == judge.id
        assert body["judge"]["model"].startswith("scripted:longer+1*second-")
        (decision,) = body["decisions"]
        assert decision["readings"]["second_view"]["B"] > 0.99
        assert decision_from(DecisionBody(**decision)).readings[Reading.VIEW].b > 0.99
        later = DecisionBody(**(decision | {"readings": {"of a later version": decision["readings"]["second_view"]}}))
        assert decision_from(later).readings == {}


def test_no_decision_is_null_with_its_reason() -> None:
    mute = Judge(ScriptedBackend(lambda request, seed: "no idea"), sampling=Sampling(votes=1, temperature=0))
    with served(mute) as client:
        until_ready(client)
        (decision,) = client.post("/v1/judge", json={"comparisons": [PAIR]}).json()["decisions"]
        assert (decision["label"], decision["confidence"]) == (None, None)
        assert "2 × unparseable" in decision["reason"]
        (score,) = client.post(
            "/v1/score", json={"items": [{"prompt": "p", "response": "x", "reference": "xx"}]}
        ).json()["scores"]
        assert score["score"] is None
        assert score["reason"]
        found = client.post("/get_reward", json={"query": ["pa", "pb"], "prompts": ["p", "p"]}).json()
        assert found["rewards"] == [None, None]
        assert all(found["reasons"])


def test_a_ranking(client: TestClient) -> None:
    found = client.post(
        "/v1/rank", json={"prompt": "p", "responses": ["x", "xxx", "xx"], "aggregation": "win-rate"}
    ).json()
    assert found["ranking"]["best"] == 1
    assert [place["index"] for place in found["ranking"]["places"]] == [1, 2, 0]
    budget = {"prompt": "p", "responses": ["x", "xxx", "xx"], "budget": 2}
    assert len(client.post("/v1/rank", json=budget).json()["ranking"]["matches"]) == 2
    wrong = client.post("/v1/rank", json={"prompt": "p", "responses": ["x", "y"], "scheme": "duel"})
    assert (wrong.status_code, "there is no scheme 'duel'" in wrong.json()["detail"]) == (422, True)


def test_scores_against_references(client: TestClient) -> None:
    items = [{"prompt": "p", "response": "x" * n, "reference": "xx"} for n in (1, 3)]
    found = client.post("/v1/score", json={"items": items}).json()["scores"]
    assert [each["score"] for each in found] == [0.0, 1.0]
    bank = {"prompt": "p", "response": "xx", "references": ["x", "xx", "xxx", "x"]}
    (banked,) = client.post("/v1/score", json={"items": [bank]}).json()["scores"]
    assert banked["score"] == 0.5, "what stands there twice counts once"
    both = client.post("/v1/score", json={"items": [bank | {"reference": "x"}]})
    assert (both.status_code, "both reference and references" in both.text) == (422, True)
    many = [{"prompt": "p", "response": "x", "references": [f"{i}" for i in range(64)]}] * 33
    too_many = client.post("/v1/score", json={"items": many})
    assert (too_many.status_code, "2112 comparisons, and at most 2048 are allowed" in too_many.text) == (422, True)
    for each in ([{"references": None}], [{"references": []}]):
        assert client.post("/v1/score", json={"items": [items[0] | each[0]]}).status_code == 200
    bare = client.post("/v1/score", json={"items": [{"prompt": "p", "response": "x"}]})
    assert (bare.status_code, "no reference" in bare.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/judge", {"comparisons": []}),
        ("/v1/judge", {"comparisons": [PAIR] * 257}),
        ("/v1/judge", {"comparisons": [PAIR | {"responses": ["x"]}]}),
        ("/v1/judge", {"comparisons": [PAIR], "deadline": 0}),
        ("/v1/judge", {"comparisons": [PAIR], "extra": 1}),
        ("/v1/judge", {"comparisons": [PAIR | {"prompt": [{"role": "robot", "content": "x"}]}]}),
        ("/v1/rank", {"prompt": "p", "responses": ["x"]}),
        ("/v1/rank", {"prompt": "p", "responses": ["x"] * 65}),
        ("/v1/score", {"items": [{"prompt": "p", "response": [1, 2]}]}),
        ("/get_reward", {"query": "text", "prompts": []}),
    ],
)
def test_malformed_requests(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_what_does_not_parse_at_all(client: TestClient) -> None:
    assert client.post("/v1/judge", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    assert client.put("/v1/judge").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_a_token_and_open_health() -> None:
    with served(token="secret") as client:
        until_ready(client)
        assert client.post("/v1/judge", json={"comparisons": [PAIR]}).status_code == 200
        for header in ("", "Bearer wrong", "secret", "Bearer sécret"):
            headers = {"authorization": header.encode("utf-8")}
            refused = client.post("/v1/judge", json={"comparisons": [PAIR]}, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        for password, status in (("secret", 200), ("wrong", 401), ("", 401)):
            found = client.get("/metrics", auth=("any", password))
            assert found.status_code == status
        for junk in ("Basic ", "Basic !", "Basic c2VjcmV0"):
            assert client.get("/metrics", headers={"authorization": junk}).status_code == 401
        assert client.get("/metrics", headers={"authorization": ""}).status_code == 401
        assert client.get("/healthz", headers={"authorization": ""}).status_code == 200


def test_too_large_and_too_many() -> None:
    with served(max_bytes=300) as client:
        until_ready(client)
        assert client.post("/v1/judge", json={"comparisons": [PAIR]}).status_code == 200
        answer = client.post("/v1/judge", json={"comparisons": [PAIR | {"responses": ["x", "y" * 300]}]})
        assert (answer.status_code, "larger than 300 bytes" in answer.json()["detail"]) == (413, True)
    with served(max_requests=0) as client:
        refused = client.post("/v1/judge", json={"comparisons": [PAIR]})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")


def test_a_sender_that_takes_its_time_is_not_waited_for() -> None:
    sent: list[dict[str, Any]] = []
    counted: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError("nobody waits that long")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("the application saw half a request")

    gate = LimitsMiddleware(never, ServerLimits(read_timeout=0.02), None, lambda path, status: counted.append(status))
    asyncio.run(gate({"type": "http", "path": "/v1/judge", "headers": []}, receive, send))
    assert (sent[0]["status"], counted, gate._running) == (408, [408], 0)


def test_not_ready_until_the_model_is_loaded_and_failed_when_it_cannot_be() -> None:
    go = threading.Event()

    def load() -> Judge:
        assert go.wait(10)
        raise OSError("no such weights")

    with TestClient(create_app(Model(load))) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json() == {"status": "not ready"}
        early = client.post("/v1/judge", json={"comparisons": [PAIR]})
        assert (early.status_code, "still being loaded" in early.json()["detail"]) == (503, True)
        assert early.headers["retry-after"] == "1"
        go.set()
        while client.get("/readyz").json() != {"status": "failed"}:
            pass
        assert "no such weights" in client.post("/v1/judge", json={"comparisons": [PAIR]}).json()["detail"]


def test_a_deadline_that_passes_is_an_error_and_no_answer() -> None:
    def answer(request: GenerationRequest, seed: int) -> str:
        time.sleep(0.2)
        return "late"

    slow = Judge(ScriptedBackend(answer), sampling=Sampling(votes=1, temperature=0))
    with served(slow) as client:
        until_ready(client)
        answer = client.post("/v1/judge", json={"comparisons": [PAIR], "deadline": 0.05})
        assert (answer.status_code, answer.json()["detail"]) == (504, "the deadline passed before there was an answer")


def test_metrics_and_documentation(client: TestClient) -> None:
    client.post("/v1/judge", json={"comparisons": [PAIR, PAIR]})
    client.post("/v1/judge", json={})
    client.get("/somewhere/else")
    text = client.get("/metrics").text
    assert 'gramr2_requests_total{path="/v1/judge",status="200"} 1.0' in text
    assert 'gramr2_requests_total{path="/v1/judge",status="422"} 1.0' in text
    assert 'gramr2_requests_total{path="other",status="404"} 1.0' in text
    assert 'gramr2_decisions_total{label="B"} 2.0' in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/judge", "/v1/rank", "/v1/score", "/get_reward"} <= set(paths)
