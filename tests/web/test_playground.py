"""The playground's questions: all votes of a pair, in the numbers of the page, as they are written; and rankings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from listening import listening
from speaking import Speaking, held, speaking

from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Order
from gramr2.errors import ModelError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scalar import ScalarJudge
from gramr2.judging.scripted import scripted
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import DIRECT
from gramr2.mentions import rename_mentions
from gramr2.serving.middleware import ServerLimits
from gramr2.serving.model import Model
from gramr2.web.app import ui_app
from gramr2.web.telling import Written

OWN = {"x-gramr2-page": "1"}
PAIR = {"prompt": "Say x.", "responses": ["x", "xxx"]}
MANY: dict[str, Any] = {"prompt": "p", "responses": ["x", "xxx", "xx"], "seed": 0}


def served(judge: Judge | ScalarJudge) -> TestClient:
    return TestClient(ui_app(model=Model(lambda: judge), limits=ServerLimits(deadline=20)), headers=OWN)


def events(client: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("\n\n")
    return [json.loads(each.removeprefix("data: ")) for each in answer.text.split("\n\n")[:-1]]


def judged(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = events(client, "/ui/judge", body)[-1]["decision"]
    return found


def until_ready(client: httpx.Client) -> None:
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
    found = judged(client, PAIR | {"numbers": [3, 7]})
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


def test_rationales_grow_to_what_the_votes_have_in_the_end() -> None:
    with served(speaking()) as client:
        until_ready(client)
        *written, last = events(client, "/ui/judge", PAIR | {"numbers": [3, 7]})
    said: dict[tuple[str, int], list[str]] = {}
    for each in written:
        assert [*each] == ["written"]
        told = each["written"]
        said.setdefault((told["order"], told["sample"]), []).append(told["text"])
    assert sorted(said) == [(order, sample) for order in ("ab", "ba") for sample in range(2)]
    wrote = [(each["order"], each["rationale"]) for each in last["decision"]["votes"]]
    assert wrote == [(order, "".join(parts)) for (order, _), parts in sorted(said.items())]
    assert min(map(len, said.values())) > 10, "word by word"
    assert "".join(said["ab", 0]).startswith(
        "Response 3 is short, and Response 7 is <longer> than it. Answers 3 and 7 are"
    )
    assert "".join(said["ba", 0]).startswith("Response 7 is short")


def test_a_word_or_a_tag_that_is_not_finished_is_kept_back() -> None:
    written = Written(JudgeTemplate(), (1, 2))
    texts = [
        "<think>\nOh",
        "<think>\nOh, answer a",
        "<think>\nOh, answer after B </thi",
        "<think>\nOh, answer after B </think>\n<answer>B</answer>",
    ]
    found = [[each["text"] for each in written.grown(Order.AB, 0, text)] for text in texts]
    assert found == [[], ["Oh, answer"], [" after B"], []]
    assert [*written.grown(Order.AB, 1, "<think>\n回答好")] == [{"order": "ab", "sample": 1, "text": "回答好"}]


def test_the_text_is_there_before_the_verdict() -> None:
    go, pause = held(4)
    with (
        listening(ui_app(model=Model(lambda: speaking(pause)))) as url,
        httpx.Client(base_url=url, headers=OWN) as client,
    ):
        until_ready(client)
        with client.stream("POST", "/ui/judge", json=PAIR) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            first = next(lines)
            assert json.loads(first.removeprefix("data: ")) == {
                "written": {"order": "ab", "sample": 0, "text": "Response"}
            }
            assert not go.is_set()
            go.set()
            *_, last = (json.loads(line.removeprefix("data: ")) for line in lines if line)
        assert last["decision"]["label"] == "B"


def test_who_leaves_ends_the_work() -> None:
    judge = speaking(lambda words: time.sleep(0.02) if words < 10 else time.sleep(0.5))
    with listening(ui_app(model=Model(lambda: judge))) as url, httpx.Client(base_url=url, headers=OWN) as client:
        until_ready(client)
        with client.stream("POST", "/ui/judge", json=PAIR) as answer:
            next(answer.iter_lines())
        assert isinstance(judge.backend, Speaking)
        assert judge.backend.ended.wait(10), "it went on writing for nobody"
        assert events(client, "/ui/rank", MANY)[-1]["ranking"]["best"] == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelError("the card is full"), "the card is full"),
        (ZeroDivisionError("a secret"), "the server failed unexpectedly: its log says why"),
    ],
)
def test_an_error_in_the_middle_is_one_sentence(error: Exception, told: str) -> None:
    def pause(words: int) -> None:
        if words > 3:
            raise error

    app = ui_app(model=Model(lambda: speaking(pause)))
    with TestClient(app, headers=OWN, raise_server_exceptions=False) as client:
        until_ready(client)
        found = events(client, "/ui/judge", PAIR)
        assert found[0]["written"]["text"] == "Response"
        assert found[-1] == {"error": told}
        assert not any("decision" in each for each in found)


def test_a_deadline_in_the_middle_is_told_and_ends_the_work() -> None:
    judge = speaking(lambda words: time.sleep(0.2))
    app = ui_app(model=Model(lambda: judge), limits=ServerLimits(deadline=0.5))
    with TestClient(app, headers=OWN) as client:
        until_ready(client)
        assert events(client, "/ui/judge", PAIR)[-1] == {"error": "the deadline passed before there was an answer"}
        assert isinstance(judge.backend, Speaking)
        assert judge.backend.ended.wait(10)


@pytest.mark.parametrize("template", [JudgeTemplate(mode=JudgeMode.LABEL), JudgeTemplate(readings=DIRECT)])
def test_a_judge_that_writes_no_rationales_answers_at_once(template: JudgeTemplate) -> None:
    silent = Judge(scripted("longer"), template, Sampling(votes=1, temperature=0))
    with served(silent) as client:
        until_ready(client)
        (only,) = events(client, "/ui/judge", PAIR)
        assert only["decision"]["label"] == "B"


def test_a_reward_model_answers_at_once() -> None:
    class Length:
        id, context_length = "length", 4096

        def count(self, prompt: object, response: str) -> int:
            return len(response)

        def rewards(self, texts: Sequence[tuple[object, str]]) -> list[float]:
            return [float(len(response)) for _, response in texts]

    with served(ScalarJudge(Length())) as client:
        until_ready(client)
        (only,) = events(client, "/ui/judge", PAIR)
        assert (only["decision"]["label"], only["decision"]["votes"]) == ("B", [])
        assert events(client, "/ui/rank", MANY)[-1]["ranking"]["best"] == 1


def test_a_ranking_tells_how_many_pairs_are_compared() -> None:
    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
    with TestClient(ui_app(model=Model(lambda: judge, batch=2)), headers=OWN) as client:
        until_ready(client)
        *pairs, last = events(client, "/ui/rank", MANY)
        public = client.post("/v1/rank", json=MANY).json()["ranking"]
        assert last["ranking"] == public
        assert [each["pairs"] for each in pairs] == [[0, 3], [2, 3], [3, 3]]
        for first, second, result in public["matches"]:
            pair = [MANY["responses"][first], MANY["responses"][second]]
            assert judged(client, {"prompt": "p", "responses": pair})["label"] == ("A" if result > 0.5 else "B")


def test_a_ranking_that_fails_is_one_sentence() -> None:
    def broken(request: object, seed: int) -> str:
        raise ModelError("the card is full")

    with served(Judge(ScriptedBackend(broken), sampling=Sampling(votes=1, temperature=0))) as client:
        until_ready(client)
        assert events(client, "/ui/rank", MANY)[-1] == {"error": "the card is full"}


def test_another_page_cannot_ask(client: TestClient) -> None:
    for path, body in (("/ui/judge", PAIR), ("/ui/rank", MANY)):
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"x-gramr2-page": None}):
            request = client.build_request("POST", path, json=body)
            for name, value in headers.items():
                if value is None:
                    del request.headers[name]
                else:
                    request.headers[name] = value
            assert client.send(request).status_code == 403


@pytest.mark.parametrize(
    "body",
    [PAIR | {"responses": ["x"]}, PAIR | {"prompt": [{"role": "robot", "content": "x"}]}, PAIR | {"extra": 1}, {}],
)
@pytest.mark.parametrize("path", ["/ui/judge", "/ui/rank"])
def test_malformed_questions(client: TestClient, body: dict[str, object], path: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)


def test_a_text_that_does_not_fit_is_refused_in_a_sentence() -> None:
    small = ScriptedBackend(lambda request, seed: "<answer>A</answer>", context_length=600)
    with served(Judge(small, sampling=Sampling(votes=1, temperature=0, max_new_tokens=100))) as client:
        until_ready(client)
        for path in ("/ui/judge", "/ui/rank"):
            answer = client.post(path, json=PAIR | {"prompt": "x " * 30_000})
            assert answer.status_code == 413
            assert "has room for" in answer.json()["detail"]


def test_no_verdict_is_told_with_its_votes() -> None:
    mute = Judge(ScriptedBackend(lambda request, seed: "no idea"), sampling=Sampling(votes=1, temperature=0))
    with served(mute) as client:
        until_ready(client)
        found = judged(client, PAIR)
        assert (found["label"], found["coverage"]) == (None, 0.0)
        assert {vote["outcome"] for vote in found["votes"]} == {"unparseable"}


def test_what_the_judge_is_called_is_known_once_it_is_loaded(client: TestClient) -> None:
    assert client.get("/ui/play").json() == {"ready": True, "judge": "scripted:longer"}


def test_mentions_are_renamed_wherever_a_noun_stands() -> None:
    names = {"A": "1", "B": "2"}
    assert rename_mentions("Response A and answer_b; Responses A and B; answer a B.", names) == (
        "Response 1 and answer_2; Responses 1 and 2; answer a B."
    )
