"""The playground's questions: all votes of a pair, in the numbers of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import rename_mentions
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.middleware import ServerLimits
from gramr2.serving.model import Model
from gramr2.web.app import ui_app

OWN = {"x-gramr2-page": "1"}
PAIR = {"prompt": "Say x.", "responses": ["x", "xxx"]}


def served(judge: Judge) -> TestClient:
    return TestClient(ui_app(model=Model(lambda: judge), limits=ServerLimits(deadline=20)), headers=OWN)


def until_ready(client: TestClient) -> None:
    for _ in range(2000):
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.005)
    raise AssertionError("never ready")


@pytest.fixture
def client() -> Iterator[TestClient]:
    with served(Judge(scripted("longer"), sampling=Sampling(votes=2, temperature=0.7))) as each:
        until_ready(each)
        yield each


def test_votes_of_both_orders_call_the_responses_by_their_numbers(client: TestClient) -> None:
    found = client.post("/ui/judge", json=PAIR | {"numbers": [3, 7]}).json()
    assert (found["label"], found["judge"], found["order_flip"]) == ("B", "scripted:longer", False)
    orders = {name: [vote for vote in found["votes"] if vote["order"] == name] for name in ("ab", "ba")}
    assert [len(each) for each in orders.values()] == [2, 2]
    for votes in orders.values():
        for vote in votes:
            assert vote["outcome"] == "B", "outcomes are of the order given"
            assert "Response 7 is better" in vote["rationale"]
    assert "Response 3 has 1 characters, Response 7 has 3" in orders["ab"][0]["rationale"]
    assert "Response 7 has 3 characters, Response 3 has 1" in orders["ba"][0]["rationale"]
    assert "Response 7 is better" in found["rationale"]


def test_a_ranking_comes_from_the_public_endpoint(client: TestClient) -> None:
    body = {"prompt": "p", "responses": ["x", "xxx", "xx"], "seed": 0}
    ranking = client.post("/v1/rank", json=body).json()["ranking"]
    assert ranking["best"] == 1
    for first, second, result in ranking["matches"]:
        pair = [body["responses"][first], body["responses"][second]]  # type: ignore[index]
        found = client.post("/ui/judge", json={"prompt": "p", "responses": pair}).json()
        assert found["label"] == ("A" if result > 0.5 else "B")


@pytest.mark.parametrize(
    "body",
    [PAIR | {"responses": ["x"]}, PAIR | {"prompt": [{"role": "robot", "content": "x"}]}, PAIR | {"extra": 1}, {}],
)
def test_malformed_questions(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/ui/judge", json=body)
    assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)


def test_a_text_that_does_not_fit_is_refused_in_a_sentence() -> None:
    small = ScriptedBackend(lambda request, seed: "<answer>A</answer>", context_length=600)
    with served(Judge(small, sampling=Sampling(votes=1, temperature=0, max_new_tokens=100))) as client:
        until_ready(client)
        answer = client.post("/ui/judge", json=PAIR | {"prompt": "x " * 30_000})
        assert answer.status_code == 413
        assert "has room for" in answer.json()["detail"]


def test_no_verdict_is_told_with_its_votes() -> None:
    mute = Judge(ScriptedBackend(lambda request, seed: "no idea"), sampling=Sampling(votes=1, temperature=0))
    with served(mute) as client:
        until_ready(client)
        found = client.post("/ui/judge", json=PAIR).json()
        assert (found["label"], found["coverage"]) == (None, 0.0)
        assert {vote["outcome"] for vote in found["votes"]} == {"unparseable"}


def test_what_the_judge_is_called_is_known_once_it_is_loaded(client: TestClient) -> None:
    assert client.get("/ui/play").json() == {"ready": True, "judge": "scripted:longer"}


def test_mentions_are_renamed_wherever_a_noun_stands() -> None:
    names = {"A": "1", "B": "2"}
    assert rename_mentions("Response A and answer b; Responses A and B; a B.", names) == (
        "Response 1 and answer 2; Responses 1 and 2; a B."
    )
