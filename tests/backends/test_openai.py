"""Judges behind a chat API, on the real client with a stubbed transport: what is asked, what is read, and every way to fail."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from typer.testing import CliRunner

from conftest import make
from gramr2.backends.base import Decoding, GenerationRequest, ScoreRequest, VerdictReading
from gramr2.backends.openai import OpenAIBackend
from gramr2.cli.main import app
from gramr2.comparison import Label, Message
from gramr2.errors import ConfigError, MissingDependencyError, ModelError, ModelNotFoundError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate, extract
from gramr2.judgment import FinishReason, Outcome

Body = dict[str, Any]


def choice(text: str | None, finish: str = "stop", logprobs: Any = None, **message: Any) -> Body:
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{
            "index": 0, "finish_reason": finish, "logprobs": logprobs,
            "message": {"role": "assistant", "content": text, **message},
        }],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }  # fmt: skip


def told(*tokens: tuple[str, dict[str, float]]) -> Body:
    """Log-probabilities as servers send them, from tokens and the probabilities of their alternatives."""
    content = [
        {
            "token": token, "logprob": 0.0, "bytes": None,
            "top_logprobs": [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in others.items()],
        }
        for token, others in tokens
    ]  # fmt: skip
    return {"content": content, "refusal": None}


def backend(answer: Callable[[Body], Body | tuple[int, str]], model: str = "m@http://judge/v1", **options: Any) -> Any:
    seen: list[Body] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        seen.append(body)
        found = answer(body)
        if isinstance(found, tuple):
            return httpx2.Response(found[0], json={"error": {"message": found[1]}})
        return httpx2.Response(200, json=found)

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    client = openai.OpenAI(base_url="http://judge/v1", api_key="k", http_client=http, max_retries=0)
    made = OpenAIBackend(model, client=client, **options)
    return made, seen


def longer(body: Body) -> Body:
    _, a, b = extract(tuple(Message(turn["role"], turn["content"]) for turn in body["messages"]))
    verdict = "A" if len(a) > len(b) else "B"
    return choice(f"<think>\nFeedback: the longer one.\n</think>\n<answer>{verdict}</answer>")


def test_a_remote_judge_decides_like_any_other() -> None:
    remote, seen = backend(longer)
    comparisons = [make(str(i), a="x" * (i + 1), b="yyy") for i in range(5)]
    judge = Judge(remote, sampling=Sampling(votes=2, temperature=0.5, max_new_tokens=40))
    decisions = judge.judge(comparisons, seed=3)
    assert [d.label for d in decisions] == [Label.B, Label.B, Label.TIE, Label.A, Label.A]
    assert len({body["seed"] for body in seen}) == len(seen) == 20, "votes are not copies"
    assert all(body["max_tokens"] == 56 and body["temperature"] == 0.5 and body["top_logprobs"] == 20 for body in seen)
    assert decisions[0].judgments[0].rationale == "Feedback: the longer one."
    assert decisions[0].judgments[0].prompt_tokens == 7
    assert judge.judge(comparisons, seed=3) == decisions


def request(**options: Any) -> GenerationRequest:
    return GenerationRequest((Message("user", "Which?"),), (1,), Decoding(), verdict=VerdictReading(), **options)


def complete(answer: Body, asked: GenerationRequest | None = None) -> Any:
    [(_, [found])] = list(backend(lambda body: answer)[0].generate([asked or request()]))
    return found


def test_the_labels_probabilities_are_those_at_the_verdicts_token() -> None:
    tokens = told(
        ("A", {"A": 1.0}), ("</think>", {"x": 1.0}), ("<", {"<": 1.0}), ("answer>", {"answer>": 1.0}),
        ("B", {" B": 0.5, "A": 0.3, "t": 0.1, "Bob": 0.05, "z": 0.01}),
    )  # fmt: skip
    found = complete(choice("<think>A</think><answer>B</answer>", logprobs=tokens)).label_logprobs
    assert {label: round(math.exp(value), 4) for label, value in found.items()} == {
        "A": 0.3333,
        "B": 0.5556,
        "tie": 0.1111,
    }
    without = told(("<answer>", {"<answer>": 1.0}), ("A", {"A": 0.9, "B": 0.05, "q": 0.001}))
    few = complete(choice("<answer>A</answer>", logprobs=without)).label_logprobs
    assert math.exp(few["tie"]) == pytest.approx(0.001 / 0.951)
    merged = told(("<answer>A", {"<answer>A": 1.0}))
    assert complete(choice("<answer>A</answer>", logprobs=merged)).label_logprobs is None
    assert complete(choice("<answer>A</answer>")).label_logprobs is None


def test_grades_that_begin_alike_are_told_apart() -> None:
    grades = GenerationRequest(
        (Message("user", "Grade."),), (1,), Decoding(), verdict=VerdictReading(labels=tuple(map(str, range(1, 11))))
    )
    tokens = told(("<answer>", {"<answer>": 1.0}), ("10", {"10": 0.6, "1": 0.3, "9": 0.1}))
    found = complete(choice("<answer>10</answer>", logprobs=tokens), grades).label_logprobs
    assert max(found, key=found.get) == "10"
    assert found["1"] > found["9"] >= found["2"]


def test_thinking_that_comes_beside_the_answer_is_the_rationale() -> None:
    assert complete(choice("<answer>A</answer>", reasoning_content="Because.")).text == (
        "<think>\nBecause.\n</think>\n<answer>A</answer>"
    )
    label = Judge(
        backend(lambda body: choice(" B "))[0], JudgeTemplate(JudgeMode.LABEL), Sampling(votes=1, temperature=0)
    )
    assert [vote.outcome for vote in label.judge([make()])[0].judgments] == [Outcome.B, Outcome.A]


@pytest.mark.parametrize(
    ("answer", "reason", "outcome"),
    [
        (choice("<think>and", "length"), FinishReason.LENGTH, Outcome.TRUNCATED),
        (choice("I like both."), FinishReason.STOP, Outcome.UNPARSEABLE),
        (choice(None), FinishReason.ERROR, Outcome.ERROR),
        (choice(None, "length"), FinishReason.LENGTH, Outcome.TRUNCATED),
        (choice("<answer>A</answer>", "content_filter"), FinishReason.ERROR, Outcome.ERROR),
        (choice("x") | {"choices": []}, FinishReason.ERROR, Outcome.ERROR),
        ((400, "the prompt is too long"), FinishReason.ERROR, Outcome.ERROR),
        ((500, "out of order"), FinishReason.ERROR, Outcome.ERROR),
        ((429, "too many"), FinishReason.ERROR, Outcome.ERROR),
    ],
)
def test_a_failure_is_never_a_verdict(answer: Any, reason: FinishReason, outcome: Outcome) -> None:
    assert complete(answer).finish_reason is reason
    judge = Judge(backend(lambda body: answer)[0], sampling=Sampling(votes=1, temperature=0))
    [decision] = judge.judge([make()])
    assert decision.label is None
    assert {vote.outcome for vote in decision.judgments} == {outcome}
    if isinstance(answer, tuple):
        assert decision.judgments[0].error == f"{answer[0]}: {answer[1]}"


def test_a_server_without_logprobs_is_asked_without_them_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    def answer(body: Body) -> Body | tuple[int, str]:
        return (400, "logprobs are not supported") if "logprobs" in body else choice("<answer>A</answer>")

    remote, seen = backend(answer, workers=1)
    assert [found[0].text for _, found in remote.generate([request()] * 4)] == ["<answer>A</answer>"] * 4
    assert ["logprobs" in body for body in seen] == [True, False, False, False, False]
    assert caplog.text.count("votes are counted, not weighted") == 1


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [(401, ModelError, "the key is not accepted"), (404, ModelNotFoundError, "the server does not know this model")],
)
def test_what_no_request_can_pass_ends_the_run(status: int, error: type[Exception], message: str) -> None:
    remote, seen = backend(lambda body: (status, "no"), workers=1)
    with pytest.raises(error, match=message):
        list(remote.generate([request()] * 500))
    assert len(seen) < 500


def test_no_server_is_a_sentence() -> None:
    def gone(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    http = httpx2.Client(transport=httpx2.MockTransport(gone))
    client = openai.OpenAI(base_url="http://judge/v1", api_key="k", http_client=http, max_retries=0)
    with pytest.raises(ModelError, match=r"openai:m@judge: the server cannot be reached \(refused\)"):
        list(OpenAIBackend("m@http://judge/v1", client=client).generate([request()]))


def test_what_a_chat_api_cannot_do_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    remote, _ = backend(longer)
    with pytest.raises(ModelError, match="does not return the probability of a given text"):
        remote.score([ScoreRequest((Message("user", "x"),), "y")])
    with pytest.raises(ModelError, match="does not accept a partial answer"):
        list(remote.generate([request(written=("So.",))]))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="set OPENAI_API_KEY, or name a server of your own"):
        OpenAIBackend("gpt")
    for name in (
        "",
        "m@",
        "m@judge",
        "@http://judge",
        "m@http://[bad/v1",
        "m@http://h:x/v1",
        "m@http://h:99999",
        "m@http://:80",
    ):
        with pytest.raises(ConfigError, match="does not name a model and a server"):
            OpenAIBackend(name)
    monkeypatch.setenv("OPENAI_API_KEY", "two\nlines")
    with pytest.raises(ConfigError, match="set it again"):
        OpenAIBackend("gpt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install 'openai>="):
        OpenAIBackend("m@http://judge/v1")


def test_the_command_line_knows_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    remote, _ = backend(longer)
    monkeypatch.setattr("gramr2.backends.openai._client", lambda *_: remote._client)
    command = f"judge -m openai:m@http://judge/v1 -d starter:gold --limit 3 -o {tmp_path / 'o.jsonl'} -q"
    assert CliRunner().invoke(app, command).exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["label"] in ("A", "B", "tie") for row in rows] == [True] * 3


def test_every_refused_option_is_told_once_with_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr("gramr2.backends.openai_options.log.warning", lambda text, *args: notes.append(text % args))

    def answer(body: Body) -> Body | tuple[int, str]:
        refused = next((name for name in ("seed", "temperature") if name in body), None)
        return (400, f"{refused} is not supported") if refused else choice("<answer>A</answer>")

    remote, seen = backend(answer, workers=1)
    assert [found[0].text for _, found in remote.generate([request()] * 3)] == ["<answer>A</answer>"] * 3
    assert len(seen) == 5
    assert [("seed" in note, "temperature is not supported" in note) for note in notes] == [
        (True, False),
        (False, True),
    ]


def test_an_answer_that_is_on_its_way_is_not_lost_when_the_run_stops() -> None:
    """The account is closed between the samples of a request: those that were paid for come before the error."""
    left = [3]

    def answer(body: Body) -> Body | tuple[int, str]:
        left[0] -= 1
        return choice("<answer>A</answer>") if left[0] >= 0 else (402, "no credit")

    remote, _ = backend(answer, workers=1)
    asked = GenerationRequest((Message("user", "Which?"),), tuple(range(2)), Decoding(), verdict=VerdictReading())
    found: list[Any] = []
    with pytest.raises(ModelError, match="12 requests in a row failed.*402: no credit"):
        for each in remote.generate([asked] * 20):
            found.append(each)
    texts = [completion.text for _, completions in found for completion in completions if completion.text]
    assert texts == ["<answer>A</answer>"] * 3


def test_the_variables_of_the_chat_template_are_in_each_request_and_never_left_out() -> None:
    options = {"enable_thinking": False}
    remote, seen = backend(longer, chat_template_options=options)
    assert Judge(remote).judge([make("0", a="x", b="yyy")])[0].label is Label.B
    assert seen and all(body["chat_template_kwargs"] == options for body in seen)
    assert remote.id.startswith("openai:m@judge+chat-")
    assert remote.id != backend(longer, chat_template_options={"enable_thinking": True})[0].id
    plain, asked = backend(longer)
    Judge(plain).judge([make("0", a="x", b="yyy")])
    assert plain.id == "openai:m@judge" and not any("chat_template_kwargs" in body for body in asked)
    strict, tried = backend(
        lambda _: (400, "Unrecognized argument: chat_template_kwargs"), chat_template_options=options
    )
    [(_, [found])] = list(strict.generate([request()]))
    assert found.finish_reason is FinishReason.ERROR and "chat_template_kwargs" in found.error
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "127.0.0.1:8000"),
        ("http://Judge", "Judge"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("https://router.huggingface.co/together/v1", "router.huggingface.co/together"),
        ("https://router.huggingface.co/novita/v1", "router.huggingface.co/novita"),
        ("https://me:secret@h:8443/v1", "h:8443"),
        ("https://me:p@ss@h/a/v1", "h/a"),
        ("https://h/v1beta/openai/", "h/v1beta/openai"),
    ],
)
def test_an_id_tells_servers_apart_and_no_password(address: str, place: str) -> None:
    assert backend(longer, f"m@{address}")[0].id == f"openai:m@{place}"
