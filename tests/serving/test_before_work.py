"""What a request must not cost: tokenising before its limits are checked, work after its client has gone, or others' memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_app import PAIR, served, until_ready

from conftest import make
from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Message
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.app import create_app
from gramr2.serving.errors import GoneError
from gramr2.serving.middleware import LOOPBACK, LimitsMiddleware, ServerLimits
from gramr2.serving.model import Model
from gramr2.serving.problems import REFUSALS
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.sizes import SizeCheck
from gramr2.serving.visit import KEY, Visit
from gramr2.wire import ProblemBody

ONCE = Sampling(votes=1, temperature=0, max_new_tokens=1)


class Counting(ScriptedBackend):
    """A backend that counts words, remembers the texts that it has counted, and takes its time."""

    def __init__(self, context_length: int, seconds: float = 0.0) -> None:
        super().__init__(lambda request, seed: "<answer>A</answer>", context_length=context_length)
        self.counted: list[str] = []
        self._seconds = seconds

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        if answer and not messages:
            self.counted.append(answer)
            time.sleep(self._seconds)
        return super().count_tokens(messages, answer)


def scoring(prompt: str, references: int, **more: Any) -> dict[str, Any]:
    bank = [f"reference {i}" for i in range(references)]
    return {"items": [{"prompt": prompt, "response": "an answer", "references": bank}], **more}


def test_a_text_is_counted_once_for_all_references() -> None:
    backend = Counting(2000)
    with served(Judge(backend, sampling=ONCE)) as client:
        until_ready(client)
        assert client.post("/v1/score", json=scoring("word " * 1000, 64)).status_code == 200
        assert sorted(backend.counted) == sorted(["word " * 1000, "an answer", *(f"reference {i}" for i in range(64))])
        backend.counted.clear()
        assert client.post("/v1/score", json=scoring("short", 64)).status_code == 200
        assert backend.counted == [], "what must fit is not counted at all"
        refused = client.post("/v1/score", json=scoring("word " * 2000, 64))
        assert (refused.status_code, "about 2" in refused.json()["detail"]) == (413, True)
        assert len(backend.counted) == 3, "the first that does not fit is enough"


def test_a_text_that_cannot_fit_is_refused_by_its_length() -> None:
    backend = Counting(2000)
    with served(Judge(backend, sampling=ONCE)) as client:
        until_ready(client)
        for path, body in (
            ("/v1/score", scoring("x" * 200_000, 64)),
            ("/v1/score", scoring("x" * 200_000, 1, by="rationale")),
            ("/v1/judge", {"comparisons": [{"prompt": "p", "responses": ["x" * 200_000, "y"]}]}),
            ("/v1/rank", {"prompt": "x" * 200_000, "responses": ["a", "b", "c"]}),
            ("/get_reward", {"query": ["p" + "x" * 200_000], "prompts": ["p"], "labels": ["a reference"]}),
        ):
            refused = client.post(path, json=body)
            assert (refused.status_code, "characters" in refused.json()["detail"]) == (413, True), path
        assert backend.counted == []


def test_counting_ends_at_the_deadline_and_one_request_counts_at_a_time() -> None:
    backend = Counting(2000, seconds=0.2)
    with served(Judge(backend, sampling=ONCE)) as client:
        until_ready(client)
        started = time.monotonic()
        late = client.post("/v1/score", json=scoring("word " * 1000, 64, deadline=0.5))
        assert (late.status_code, time.monotonic() - started < 3) == (504, True)
        assert len(backend.counted) <= 4


def test_a_full_queue_refuses_before_anything_is_counted() -> None:
    backend, go, entered = Counting(2000), threading.Event(), threading.Event()

    def answer(request: GenerationRequest, seed: int) -> str:
        entered.set()
        assert go.wait(20)
        return "<answer>A</answer>"

    backend._script = answer
    model = Model(lambda: Judge(backend, sampling=ONCE), capacity=1, batch=1)
    with TestClient(create_app(model)) as client:
        until_ready(client)
        first = threading.Thread(target=lambda: client.post("/v1/judge", json={"comparisons": [PAIR, PAIR]}))
        first.start()
        assert entered.wait(10)
        backend.counted.clear()
        assert client.post("/v1/score", json=scoring("word " * 1000, 64)).status_code == 429
        assert backend.counted == []
        go.set()
        first.join(10)


def visits(app: Callable[..., Any], receive: Callable[[], Any], **limits: Any) -> list[dict[str, Any]]:
    """What the middleware in front of ``app`` sends."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    gate = LimitsMiddleware(app, ServerLimits(**limits), None, lambda path, status: None)
    asyncio.run(gate({"type": "http", "path": "/v1/judge", "headers": []}, receive, send))
    assert (gate._running, gate._pending) == (0, 0)
    return sent


def test_a_client_that_hangs_up_leaves_the_queue() -> None:
    go, entered, answered = threading.Event(), threading.Event(), []

    def answer(request: GenerationRequest, seed: int) -> str:
        answered.append(seed)
        entered.set()
        assert go.wait(20)
        return "<answer>A</answer>"

    model = Model(lambda: Judge(ScriptedBackend(answer), sampling=ONCE), capacity=16, batch=1)
    model.start()
    while not model.ready:
        time.sleep(0.01)
    held = threading.Thread(target=lambda: model.compare([make("0")], 0, time.monotonic() + 30))
    held.start()
    assert entered.wait(10)
    leavers = [Visit() for _ in range(16)]
    errors: list[BaseException] = []

    def ask(visit: Visit) -> None:
        try:
            QueuedJudge(model, time.monotonic() + 30, visit).compare([make("1")])
        except GoneError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(visit,)) for visit in leavers]
    for each in threads:
        each.start()
    while model.waiting < 16:
        time.sleep(0.01)
    for visit in leavers:
        visit.leave()
    for each in threads:
        each.join(10)
    assert (model.waiting, len(errors)) == (0, 16)
    with pytest.raises(GoneError):
        ask_again = QueuedJudge(model, time.monotonic() + 30, leavers[0])
        SizeCheck().check(ask_again, [make("2")])
        ask_again.compare([make("2")])
    go.set()
    held.join(10)
    model.close(10)
    assert len(answered) == 2, "both orders of the first; nothing of the sixteen"


def test_a_request_that_the_ending_server_cancels_leaves_too() -> None:
    seen: list[Visit] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope[KEY])
        await asyncio.sleep(20)

    async def cancelled() -> None:
        body = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            return next(body, None) or await asyncio.sleep(20)

        gate = LimitsMiddleware(app, ServerLimits(), None, lambda path, status: None)
        task = asyncio.create_task(gate({"type": "http", "path": "/v1/judge", "headers": []}, receive, receive))
        while not seen:
            await asyncio.sleep(0.01)
        assert not seen[0].gone
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert seen[0].gone


def test_the_middleware_tells_when_a_client_has_gone() -> None:
    messages = [
        {"type": "http.request", "body": b"{}", "more_body": False},
        {"type": "http.disconnect"},
    ]
    left = threading.Event()

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def app(scope: Any, replayed: Any, send: Any) -> None:
        scope[KEY].on_leave(left.set)
        assert (await replayed())["body"] == b"{}"
        assert (await replayed())["type"] == "http.disconnect"
        assert left.is_set() and scope[KEY].gone

    assert visits(app, receive) == []


def test_bodies_together_have_a_limit() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 40, "more_body": True}

    async def never(*_: Any) -> None:
        raise AssertionError("it was refused")

    assert visits(never, receive, max_pending=100)[0]["status"] == 429
    assert visits(never, receive, max_bytes=100)[0]["status"] == 413


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("LOCALHOST", 200), ("evil.example", 421), ("", 421),
     ("localhost.evil.example", 421), ("[::2]:80", 421)],
)  # fmt: skip
def test_a_page_that_gives_its_name_our_address_gets_nothing(host: str, status: int) -> None:
    made = Model(lambda: Judge(scripted("longer"), sampling=ONCE))
    with TestClient(create_app(made, hosts=LOOPBACK)) as client:
        until_ready(client)
        found = client.post("/v1/judge", json={"comparisons": [PAIR]}, headers={"host": host})
        assert found.status_code == status
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_grades_of_many_items_leave_room_for_others_between() -> None:
    sizes: list[int] = []
    graded = Judge(ScriptedBackend(lambda request, seed: "<think>Good.</think>\n<answer>7</answer>"), sampling=ONCE)
    model = Model(lambda: graded, batch=4, on_batch=lambda size, seconds: sizes.append(size))
    with TestClient(create_app(model)) as client:
        until_ready(client)
        items = [{"prompt": "p", "response": f"{i}"} for i in range(10)]
        found = client.post("/v1/score", json={"items": items, "by": "rationale"}).json()["scores"]
    assert [(each["id"], each["score"]) for each in found] == [(str(i), 8.0) for i in range(10)]
    assert sizes == [4, 4, 2]


def test_every_refusal_is_in_the_document() -> None:
    with served() as client:
        document = client.get("/openapi.json").json()
    asking = [path for path, methods in document["paths"].items() if "post" in methods]
    assert len(asking) > 10
    for path in asking:
        answers = document["paths"][path]["post"]["responses"]
        more = {"/v1/cohort": {409}, "/v1/judge": set(), "/v1/rank": set(), "/get_reward": set()}.get(path, {404})
        assert {int(each) for each in answers} == {200, *REFUSALS, *more}, path
        for status in REFUSALS:
            schema = answers[str(status)]["content"]["application/json"]["schema"]
            problem = "OpenAIProblem" if path == "/v1/chat/completions" else "ProblemBody"
            assert schema["$ref"].endswith(f"/{problem}"), (path, status)
    assert set(document["paths"]["/readyz"]["get"]["responses"]) == {"200", "503"}


@pytest.mark.parametrize("body", [b"\xff", b"[" * 200_000, b"{", b"{}"])
def test_what_cannot_be_read_gets_a_documented_status(body: bytes) -> None:
    with served() as client:
        until_ready(client)
        found = client.post("/v1/judge", content=body, headers={"content-type": "application/json"})
    assert found.status_code in REFUSALS and found.status_code < 500
    assert ProblemBody.model_validate(found.json()).detail


def test_an_unexpected_error_is_json_and_says_nothing_of_the_inside() -> None:
    class Broken(Model):
        def admit(self) -> None:
            raise RuntimeError("secret path")

    app = create_app(Broken(lambda: Judge(scripted("longer"), sampling=ONCE)))
    with TestClient(app, raise_server_exceptions=False) as client:
        until_ready(client)
        found = client.post("/v1/judge", json={"comparisons": [PAIR]})
    assert found.status_code == 500
    assert "secret" not in found.text and found.json()["detail"]
