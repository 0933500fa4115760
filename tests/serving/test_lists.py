"""Rerank, score and classify as the clients of other servers ask them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from test_app import served, until_ready

from gramr2.backends.base import Completion
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeTemplate
from gramr2.judgment import FinishReason, Label
from gramr2.serving.problems import REFUSALS
from gramr2.wire import ProblemBody

ONCE = Sampling(votes=1, temperature=0)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with served() as each:
        until_ready(each)
        yield each


def rendered(prompt: str, a: str, b: str, template: JudgeTemplate | None = None) -> str:
    return str((template or JudgeTemplate()).render(Comparison.of(prompt, a, b))[-1].content)


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_rerank(client: TestClient, path: str) -> None:
    body = {"model": "gramr2", "query": "q", "documents": ["x", {"text": "xxx"}, "xx"]}
    found = client.post(path, json=body).json()
    assert [(each["index"], each["relevance_score"], each["document"]) for each in found["results"]] == [(1, 1.0, None), (2, 0.5, None), (0, 0.0, None)]  # fmt: skip
    assert found["id"] and found["model"] == "scripted:longer"
    assert found["usage"]["comparisons"] == 3
    assert found["meta"]["api_version"]["version"] == "2"
    best = client.post(path, json=body | {"top_n": 1, "return_documents": True}).json()["results"]
    assert [(each["index"], each["document"]) for each in best] == [(1, {"text": "xxx"})]


def test_a_long_list_costs_four_comparisons_a_document(client: TestClient) -> None:
    documents = ["x" * (1 + 7 * i % 64) for i in range(64)]
    found = client.post("/rerank", json={"query": "q", "documents": documents}).json()
    assert found["usage"]["comparisons"] == 256
    assert documents[found["results"][0]["index"]] == "x" * 64
    scores = [each["relevance_score"] for each in found["results"]]
    assert scores == sorted(scores, reverse=True)


def test_scores_of_texts(client: TestClient) -> None:
    def scores(path: str = "/v1/score", **body: Any) -> list[Any]:
        found = client.post(path, json={"model": "scripted:longer"} | body)
        assert found.status_code == 200, found.text
        assert found.json()["object"] == "list"
        assert [each["index"] for each in found.json()["data"]] == [*range(len(found.json()["data"]))]
        return [each["score"] for each in found.json()["data"]]

    for path in ("/score", "/v1/score"):
        assert scores(path, text_1="q", text_2=["x", "xxx", "xx"]) == [0.0, 1.0, 0.5]
        assert scores(path, queries="q", documents=["x", {"text": "xx"}]) == [0.0, 1.0]
    assert scores(text_1=["p", "q", "p", "q", "r"], text_2=["x", "xxx", "xx", "xx", "xx"]) == [0.0, 1.0, 1.0, 0.0, None]
    assert scores(text_1="q", text_2="x") == [None]
    alone = client.post("/score", json={"text_1": "q", "text_2": "x"}).json()["data"][0]
    assert "no other text for this query" in alone["reason"]


def test_scores_by_rationale_and_ours_beside_them() -> None:
    graded = Judge(ScriptedBackend(lambda *_: "<think>Good.</think>\n<answer>7</answer>"), sampling=ONCE)
    with served(graded) as client:
        until_ready(client)
        found = client.post("/v1/score", json={"text_1": "q", "text_2": ["x", "y"], "by": "rationale"}).json()
        assert [each["score"] for each in found["data"]] == [8.0, 8.0]
        ours = client.post("/v1/score", json={"items": [{"prompt": "q", "response": "x"}], "by": "rationale"}).json()
        assert [each["score"] for each in ours["scores"]] == [8.0]


def test_classify(client: TestClient) -> None:
    pair = {"prompt": "p", "responses": ["xx", "x"]}
    for sent, labels in (
        (rendered("p", "x", "xxx"), ["B"]),
        ([rendered("p", "x", "xxx"), pair, {"prompt": [{"role": "user", "content": "p"}], "responses": ["x", "y"]}], ["B", "A", "tie"]),
        (pair, ["A"]),
    ):  # fmt: skip
        found = client.post("/classify", json={"model": "gramr2", "input": sent}).json()
        assert [each["label"] for each in found["data"]] == labels
        assert all(each["num_classes"] == len(each["probs"]) == 3 for each in found["data"])
        assert [each["probs"][["A", "B", "tie"].index(label)] for each, label in zip(found["data"], labels, strict=True)] == [1.0] * len(labels)  # fmt: skip
    messages = [{"role": "user", "content": rendered("p", "x", "xxx")}]
    (chat,) = client.post("/classify", json={"messages": messages}).json()["data"]
    assert chat["label"] == "B"
    (same,) = client.post("/v1/judge", json={"comparisons": [{"prompt": "p", "responses": ["x", "xxx"]}]}).json()[
        "decisions"
    ]
    assert chat["probs"] == [same["probabilities"][label] for label in ("A", "B", "tie")]


def test_what_it_took_and_what_was_not_decided() -> None:
    counted = Completion(verdict_text(Label.B), FinishReason.STOP, None, 10, 3)
    with served(Judge(ScriptedBackend(lambda *_: counted), sampling=Sampling(votes=2, temperature=1.0))) as client:
        until_ready(client)
        usage = client.post("/rerank", json={"query": "q", "documents": ["x", "xx"]}).json()["usage"]
    # Two orders of ten tokens each, with two votes of three.
    assert usage == {"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32, "comparisons": 1}
    with served(Judge(ScriptedBackend(lambda *_: "no idea"), sampling=ONCE)) as client:
        until_ready(client)
        reranked = client.post("/rerank", json={"query": "q", "documents": ["x", "xx"]}).json()["results"]
        assert [(each["relevance_score"], bool(each["reason"])) for each in reranked] == [(None, True)] * 2
        (scored, _) = client.post("/score", json={"text_1": "q", "text_2": ["x", "xx"]}).json()["data"]
        assert (scored["score"], "no decision" in scored["reason"]) == (None, True)
        (classed,) = client.post("/classify", json={"input": {"prompt": "p", "responses": ["x", "y"]}}).json()["data"]
        assert (classed["label"], classed["probs"], "unparseable" in classed["reason"]) == (None, None, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/rerank", {"query": "q", "documents": ["x"]}, 422, "at least 2 items"),
        ("/rerank", {"query": "q", "documents": ["x"] * 65}, 422, "at most 64 items"),
        ("/rerank", {"query": "q", "documents": ["x", 3]}, 422, '"loc":["body","documents",1],"msg":"Input should be a valid string"'),
        ("/rerank", {"query": "q", "documents": ["x", {"txt": "y"}]}, 422, '"loc":["body","documents",1,"text"]'),
        ("/rerank", {"query": "q", "documents": ["x", "y"], "max_tokens_per_doc": 9}, 422, "max_tokens_per_doc is not supported"),
        ("/rerank", {"model": "rerank-v3.5", "query": "q", "documents": ["x", "y"]}, 404, "'rerank-v3.5' is not served here"),
        ("/v1/score", {"text_1": "q"}, 422, "give text_2 or documents"),
        ("/v1/score", {"text_1": "q", "queries": "q", "text_2": "x"}, 422, "give text_1 or queries, one of them"),
        ("/v1/score", {"text_1": ["p", "q"], "text_2": ["x"]}, 422, "there are 2 queries and 1 texts"),
        ("/v1/score", {"text_1": "q", "text_2": []}, 422, "there are 0 texts"),
        ("/v1/score", {"text_1": "q", "text_2": [f"{i}" for i in range(65)]}, 422, "2 to 64 responses, not 65"),
        ("/v1/score", {"text_1": "q", "text_2": ["x", "y"], "by": "magic"}, 422, "by"),
        ("/v1/score", {"items": [], "text_1": "q"}, 422, "text_1"),
        ("/classify", {"input": "Who is better?"}, 422, "input 0: this is a judge and not an assistant"),
        ("/classify", {"input": [{"prompt": "p", "responses": ["x", "y"]}, rendered("p", "x", "y", JudgeTemplate(principles=("Be kind.",)))]}, 422, "input 1: the judge prompt has other rules"),
        ("/classify", {"input": {"prompt": "p", "responses": ["x"]}}, 422, '"loc":["body","input","responses",1]'),
        ("/classify", {}, 422, "give input or messages"),
        ("/classify", {"input": []}, 422, "there are 0 inputs"),
        ("/classify", {"messages": [{"role": "robot", "content": "x"}]}, 422, "input 0: prompt[0] has the role 'robot'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_a_sentence(client: TestClient, path: str, body: Any, status: int, words: str) -> None:
    found = client.post(path, json=body)
    assert (found.status_code, words in found.text) == (status, True), found.text
    assert len(found.text) < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["text", "prompt", "responses", "role", "content"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = ["query", "documents", "top_n", "text_1", "text_2", "queries", "items", "input", "messages", "seed", "model", "by", "return_documents", "deadline"]  # fmt: skip


@given(
    st.sampled_from(["/rerank", "/v1/score", "/score", "/classify"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5),
)
def test_any_body_is_an_answer_or_a_sentence(client: TestClient, path: str, body: dict[str, Any]) -> None:
    found = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    if found.status_code != 200:
        assert found.status_code in {404, *REFUSALS} and found.status_code < 500, found.text
        assert ProblemBody.model_validate(found.json()).detail
