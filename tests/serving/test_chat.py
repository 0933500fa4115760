"""The judge as a model of OpenAI's API, asked by OpenAI's own client and by others who send whatever they like."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from real_server import running
from test_app import served, until_ready

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.prompts import prompt
from gramr2.judging.prompts.base import FieldTemplate
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import FinishReason, Label
from gramr2.loading import load_judge
from gramr2.serving.app import create_app
from gramr2.serving.model import Model
from gramr2.serving.problems import REFUSALS
from gramr2.serving.shapes.chat import NEUTRAL, OpenAIProblem
from gramr2.serving.streams import Chunks

ONCE = Sampling(votes=1, temperature=0)
PATH = "/v1/chat/completions"
BODY = {"gramr2": {"prompt": "Say x.", "responses": ["x", "xxx"]}}
CHANCES = {"A": math.log(0.2), "B": math.log(0.7), "tie": math.log(0.1)}


def believing(request: GenerationRequest, seed: int) -> Completion:
    """A judge with an opinion, that also tells its seed."""
    text = verdict_text(Label.B, f"Response A, Response B and seed {seed}.")
    return Completion(text, FinishReason.STOP, dict(CHANCES), 11, 7)


def rendered(prompt: str = "Say x.", a: str = "x", b: str = "xxx", template: JudgeTemplate | None = None) -> list[Any]:
    asked = (template or JudgeTemplate()).render(Comparison.of(prompt, a, b))
    return [{"role": each.role, "content": str(each.content)} for each in asked]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(Judge(ScriptedBackend(believing, "opinion"), sampling=ONCE), token="secret") as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0) as each:
        yield each


def test_a_prompt_that_the_client_rendered(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, client.models.retrieve("opinion").id) == ("opinion", "opinion")
    found = client.chat.completions.create(
        model=model.id, messages=rendered(), seed=3, logprobs=True, top_logprobs=2, user="me", temperature=0
    )
    (choice,) = found.choices
    assert choice.message.content.startswith("<think>\nResponse A, Response B and seed ")
    assert choice.message.content.endswith("</think>\n<answer>B</answer>")
    assert (choice.finish_reason, choice.message.role, found.model) == ("stop", "assistant", "opinion")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (11, 7, 18)
    opening, verdict, end = choice.logprobs.content
    assert choice.message.content.endswith(opening.token + verdict.token + end.token)
    assert (opening.logprob, end.logprob, verdict.token) == (0.0, 0.0, "B")
    assert verdict.logprob == pytest.approx(math.log(0.7))
    assert [(each.token, each.logprob) for each in verdict.top_logprobs] == [("B", CHANCES["B"]), ("A", CHANCES["A"])]
    assert bytes(verdict.bytes) == b"B"
    assert (found.gramr2["seed"], found.gramr2["outcomes"]) == (3, ["B"])


def test_a_comparison_that_the_server_renders(client: openai.OpenAI) -> None:
    same = client.chat.completions.create(model="gramr2", messages=rendered(), seed=1)
    for messages, body in (
        ([], {"prompt": "Say x.", "responses": ["x", "xxx"]}),
        ([{"role": "user", "content": "Say x."}], {"responses": ["x", "xxx"]}),
        ([{"role": "user", "content": [{"type": "text", "text": "Say x."}]}], {"responses": ["x", "xxx"]}),
        ([{"role": "user", "content": "Say x."}], BODY["gramr2"]),
    ):
        found = client.chat.completions.create(model="gramr2", messages=messages, seed=1, extra_body={"gramr2": body})
        assert found.choices[0].message.content == same.choices[0].message.content
        assert found.choices[0].logprobs is None


def test_votes_are_choices_and_copies_of_none(client: openai.OpenAI) -> None:
    def texts(**options: Any) -> list[str]:
        found = client.chat.completions.create(
            model="gramr2", messages=rendered(), **{"n": 4, "temperature": 1.0, **options}
        )
        assert [each.index for each in found.choices] == [*range(len(found.choices))]
        return [each.message.content for each in found.choices]

    assert len(set(texts())) == 4
    assert texts(seed=5) == texts(seed=5)
    assert texts(n=1) != texts(n=1), "a request without a seed gets one of its own"
    with pytest.raises(openai.UnprocessableEntityError, match="4 votes at temperature 0 would be identical"):
        texts(temperature=0)


def test_a_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model="gramr2", messages=rendered(), seed=3, n=2, temperature=1, logprobs=True
    )
    stream = client.chat.completions.create(
        model="gramr2", messages=rendered(), seed=3, n=2, temperature=1, logprobs=True, stream=True, stream_options={"include_usage": True}
    )  # fmt: skip
    texts, finished, chunks, found = ["", ""], {}, [*stream], {}
    for chunk in chunks:
        assert chunk.object == "chat.completion.chunk" and chunk.id == chunks[0].id
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                finished[choice.index] = choice.finish_reason
            if choice.logprobs:
                found[choice.index] = choice.logprobs.content
    assert texts == [each.message.content for each in whole.choices]
    assert finished == {0: "stop", 1: "stop"}
    assert found == {each.index: each.logprobs.content for each in whole.choices}
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens == 25
    assert (chunks[0].choices[0].delta.role, chunks[0].gramr2["seed"]) == ("assistant", 3)


def test_the_asynchronous_client(address: str) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0) as each:
            whole = await each.chat.completions.create(model="gramr2", messages=rendered(), seed=1)
            stream = await each.chat.completions.create(model="gramr2", messages=rendered(), seed=1, stream=True)
            return whole.choices[0].message.content, "".join([c.choices[0].delta.content or "" async for c in stream])

    whole, streamed = asyncio.run(ask())
    assert whole == streamed and whole.endswith("<answer>B</answer>")


@pytest.mark.parametrize(
    ("options", "kind", "words", "param", "code"),
    [
        ({"messages": [{"role": "user", "content": "Tell me a joke."}]}, openai.UnprocessableEntityError, "this is a judge and not an assistant", "messages", "not_a_comparison"),
        ({"messages": [{"role": "system", "content": "Prefer B."}, *rendered()]}, openai.UnprocessableEntityError, "other rules, examples or turns", "messages", "other_template"),
        ({"messages": rendered(template=JudgeTemplate(principles=("Be kind.",)))}, openai.UnprocessableEntityError, "other rules, examples or turns", "messages", "other_template"),
        ({"model": "gpt-5"}, openai.NotFoundError, "'gpt-5' is not served here: take 'opinion' or 'gramr2'", "model", "model_not_found"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.UnprocessableEntityError, "tools is not supported", None, None),
        ({"stop": ["x"]}, openai.UnprocessableEntityError, "stop is not supported", None, None),
        ({"top_logprobs": 3}, openai.UnprocessableEntityError, "top_logprobs needs logprobs: true", None, None),
        ({"n": 65}, openai.UnprocessableEntityError, "n: ", "n", None),
        ({"max_tokens": 1 << 30}, openai.APIStatusError, "room for 0 tokens", None, None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, openai.UnprocessableEntityError, "messages[0].content[0] is a part of the type 'image_url'", "messages", None),
        ({"extra_body": {"gramr2": {"prompt": "another", "responses": ["x", "y"]}}}, openai.UnprocessableEntityError, "two prompts", "messages", None),
        ({"messages": [], "extra_body": {"gramr2": {"responses": ["x", "y"]}}}, openai.UnprocessableEntityError, "there is no prompt", "gramr2.prompt", None),
        ({"extra_body": {"gramr2": {"prompt": "p", "responses": ["x"]}}}, openai.UnprocessableEntityError, "gramr2.responses", "gramr2.responses.1", None),
    ],
)  # fmt: skip
def test_refusals_are_openais(
    client: openai.OpenAI, options: Any, kind: Any, words: str, param: Any, code: Any
) -> None:
    with pytest.raises(kind) as refused:
        client.chat.completions.create(**{"model": "gramr2", "messages": rendered(), **options})
    error = refused.value
    assert words in error.message
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")


def test_a_wrong_token_and_a_missing_model_are_openais_errors(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError, match="a bearer token is needed") as refused:
            stranger.models.list()
        assert refused.value.type == "authentication_error"
    known = openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0)
    with known, pytest.raises(openai.NotFoundError, match="not served here"):
        known.models.retrieve("another/model")


def test_what_says_nothing_or_the_only_possible_thing_is_let_through(client: openai.OpenAI) -> None:
    found = client.chat.completions.create(
        model="gramr2", messages=rendered(), extra_body={**NEUTRAL, "user": "me", "top_k": None}
    )
    assert found.choices


def test_our_own_client_reads_the_verdict_and_its_probability(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    judge = load_judge(f"openai:gramr2@{address}/v1", orders="first")
    decision = judge.compare("Say x.", "x", "xxx")
    assert decision.label is Label.B
    assert decision.probabilities is not None and decision.probabilities.b == pytest.approx(0.7)


def test_a_failed_vote_is_an_error_and_no_answer() -> None:
    def broken(request: GenerationRequest, seed: int) -> Completion:
        return Completion("", FinishReason.ERROR, error="out of paper")

    with served(Judge(ScriptedBackend(broken), sampling=ONCE)) as client:
        until_ready(client)
        found = client.post(PATH, json=BODY)
        assert (found.status_code, found.json()["error"]["message"]) == (500, "the model failed: out of paper")
        assert found.json()["error"]["type"] == "server_error"
        events = client.post(PATH, json=BODY | {"stream": True}).text.strip().split("\n\n")
        assert "out of paper" in json.loads(events[-1].removeprefix("data: "))["error"]["message"]
        assert "[DONE]" not in events[-1]


def test_an_answer_that_was_cut_says_so() -> None:
    cut = Completion("<think>\nFeedback: Resp", FinishReason.LENGTH)
    with served(Judge(ScriptedBackend(lambda *_: cut), sampling=ONCE)) as client:
        until_ready(client)
        found = client.post(PATH, json=BODY | {"logprobs": True}).json()
    assert (found["choices"][0]["finish_reason"], found["gramr2"]["outcomes"]) == ("length", ["truncated"])
    assert found["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(("said", "outcome"), [("[[A]]", "A"), ("[[C]]", "unparseable")])
def test_an_outcome_is_what_the_judges_own_prompt_reads(said: str, outcome: str) -> None:
    # RewardBench's prompt has no ties; gramr2's own would read one.
    template = FieldTemplate(prompt=prompt("rewardbench"))
    judge = Judge(ScriptedBackend(lambda *_: Completion(f"Both. {said}", FinishReason.STOP)), template, ONCE)
    with served(judge) as client:
        until_ready(client)
        assert client.post(PATH, json=BODY).json()["gramr2"]["outcomes"] == [outcome]


def test_what_the_backend_is_asked() -> None:
    backend = ScriptedBackend(believing)
    with served(Judge(backend, sampling=ONCE)) as client:
        until_ready(client)
        more = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 9, "n": 3}
        assert client.post(PATH, json=BODY | more).status_code == 200
        asked = backend.requests[-1]
        assert (asked.decoding.temperature, asked.decoding.top_p, asked.decoding.max_new_tokens) == (0.5, 0.9, 9)
        assert (len(asked.seeds), asked.prefill) == (3, "<think>\nFeedback:")
        assert client.post(PATH, json=BODY | {"max_tokens": 9, "max_completion_tokens": 8}).status_code == 200
        assert backend.requests[-1].decoding.max_new_tokens == 8
        alone = rendered(template=replace(JudgeTemplate(), mode=JudgeMode.LABEL))
        assert client.post(PATH, json={"messages": alone}).status_code == 200
        assert (backend.requests[-1].prefill, backend.requests[-1].decoding.max_new_tokens) == ("<answer>", 1)


def test_a_model_is_heard_token_by_token(tiny_model: Path) -> None:
    from gramr2.backends.transformers import TransformersBackend

    judge = Judge(
        TransformersBackend(tiny_model),
        sampling=Sampling(votes=1, temperature=0, max_new_tokens=24, close_on_budget=True),
    )
    with running(judge) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        asked = {
            "model": "gramr2",
            "messages": rendered("p", "a", "b"),
            "temperature": 1.0,
            "seed": 2,
            "n": 2,
            "logprobs": True,
        }
        whole = client.chat.completions.create(**asked)
        texts, pieces = ["", ""], [0, 0]
        for chunk in client.chat.completions.create(**asked, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                pieces[choice.index] += bool(choice.delta.content)
    assert texts == [each.message.content for each in whole.choices]
    assert min(pieces) > 10
    for each in whole.choices:
        assert each.logprobs.content[1].top_logprobs == [] and each.logprobs.content[1].logprob < 0
        assert each.logprobs.content[1].token in ("A", "B", "tie")


def test_many_are_answered_in_one_batch() -> None:
    go, entered, sizes = threading.Event(), threading.Event(), []

    def answer(request: GenerationRequest, seed: int) -> Completion:
        entered.set()
        assert go.wait(20)
        return believing(request, seed)

    model = Model(
        lambda: Judge(ScriptedBackend(answer), sampling=ONCE), on_batch=lambda size, seconds: sizes.append(size)
    )
    with TestClient(create_app(model)) as client:
        until_ready(client)
        threads = [threading.Thread(target=lambda i=i: client.post(PATH, json=BODY | {"seed": i})) for i in range(5)]
        threads[0].start()
        assert entered.wait(10)
        for each in threads[1:]:
            each.start()
        while model.waiting < 4:
            time.sleep(0.005)
        go.set()
        for each in threads:
            each.join(10)
    assert sizes == [1, 4]


def test_deadlines_and_a_full_queue() -> None:
    go, entered = threading.Event(), threading.Event()

    def answer(request: GenerationRequest, seed: int) -> Completion:
        entered.set()
        assert go.wait(20)
        return believing(request, seed)

    model = Model(lambda: Judge(ScriptedBackend(answer), sampling=ONCE), capacity=1)
    from gramr2.serving.middleware import ServerLimits

    with TestClient(create_app(model, limits=ServerLimits(deadline=0.5))) as client:
        until_ready(client)
        late = client.post(PATH, json=BODY)
        assert (late.status_code, late.json()["error"]["message"]) == (
            504,
            "the deadline passed before there was an answer",
        )
        waiting = threading.Thread(target=lambda: client.post("/v1/judge", json={"comparisons": [BODY["gramr2"]]}))
        waiting.start()
        while not model.waiting:
            time.sleep(0.005)
        for stream in (False, True):
            full = client.post(PATH, json=BODY | {"stream": stream})
            assert (full.status_code, full.json()["error"]["type"], int(full.headers["retry-after"]) > 0) == (
                429,
                "rate_limit_error",
                True,
            )
        waiting.join(10)
        streamed = client.post(PATH, json=BODY | {"stream": True}).text
        assert "the deadline passed" in streamed and "[DONE]" not in streamed
        go.set()


def test_a_batch_that_is_told_twice_is_sent_once() -> None:
    chunks = Chunks({}, 1)
    sent = [*chunks.grown(0, "ab"), *chunks.grown(0, "a"), *chunks.grown(0, "ab"), *chunks.grown(0, "abc")]
    assert [json.loads(each[6:])["choices"][0]["delta"]["content"] for each in sent] == ["ab", "c"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["user", "system", "tool", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["role", "content", "type", "text", "prompt", "responses", "name", "tool_calls"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
FIELDS = ["messages", "gramr2", "model", "n", "seed", "temperature", "top_p", "max_tokens", "logprobs", "top_logprobs", "stream", "stream_options", "tools", "stop"]  # fmt: skip


@pytest.fixture(scope="module")
def local() -> Iterator[TestClient]:
    judge = Judge(scripted("longer"), sampling=ONCE)
    with TestClient(create_app(Model(lambda: judge)), raise_server_exceptions=False) as each:
        until_ready(each)
        yield each


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), json_values, max_size=4), st.booleans())
def test_any_body_is_a_vote_or_a_sentence(local: TestClient, body: dict[str, Any], whole: bool) -> None:
    content = json.dumps((BODY if whole else {}) | body)
    found = local.post(PATH, content=content, headers={"content-type": "application/json"})
    if found.status_code == 200:
        assert "scripted:longer" in found.text
        return
    assert found.status_code in {404, *REFUSALS} and found.status_code < 500, found.text
    problem = OpenAIProblem.model_validate(found.json())
    assert problem.error.message and len(problem.error.message) < 4000
