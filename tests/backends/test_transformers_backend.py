"""Inference on a real (random) model: the same results as the library's own generate, in any batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from conftest import make
from gramr2.backends.base import Decoding, GenerationRequest, Score, ScoreRequest, VerdictReading
from gramr2.backends.transformers import Batching, TransformersBackend
from gramr2.comparison import Message
from gramr2.errors import ConfigError, ModelError, PromptTooLongError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judgment import FinishReason

PROMPTS = ["Hello", "Hello there, how are you?", "Hello " * 12, "What?"]


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model)


def requests(seeds: int = 3, temperature: float = 1.0, **options: object) -> list[GenerationRequest]:
    decoding = Decoding(temperature, 0.95, 12)
    texts = [(Message("user", "One shared beginning of all prompts. " + text),) for text in PROMPTS]
    return [GenerationRequest(t, tuple(range(i, i + seeds)), decoding, **options) for i, t in enumerate(texts)]  # type: ignore[arg-type]


def test_greedy_is_what_the_library_generates(backend: TransformersBackend) -> None:
    results = dict(backend.generate(requests(1, 0.0)))
    for i, request in enumerate(requests(1, 0.0)):
        prompt = torch.tensor([backend.encoder.prompt(request.messages)])
        output = backend.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False
        )
        expected = backend.encoder.tokenizer.decode(output[0, prompt.shape[1] :].tolist(), skip_special_tokens=True)
        assert results[i][0].text == expected


@pytest.mark.parametrize("guided", [True, False])
def test_results_do_not_depend_on_the_batch(tiny_model: Path, guided: bool) -> None:
    verdict = VerdictReading(guided=guided, close_on_budget=guided)
    everything = requests(3, verdict=verdict, prefill="<think>\n")
    answers = []
    for batching in (
        Batching(),
        Batching(rows=1),
        Batching(rows=5),
        Batching(prefill_tokens=100),
        Batching(cache_bytes=1),
    ):
        answers.append(dict(TransformersBackend(tiny_model, batching=batching).generate(everything)))
    alone = TransformersBackend(tiny_model)
    answers.append({i: next(alone.generate([request]))[1] for i, request in enumerate(everything)})
    for other in answers[1:]:
        for i in range(len(everything)):
            assert [c.text for c in other[i]] == [c.text for c in answers[0][i]]
            for one, two in zip(other[i], answers[0][i], strict=True):
                assert (one.label_logprobs is None) == (two.label_logprobs is None)
                if one.label_logprobs and two.label_logprobs:
                    assert one.label_logprobs == pytest.approx(two.label_logprobs, abs=1e-4)


def test_seeds_decide_the_samples(backend: TransformersBackend) -> None:
    first = dict(backend.generate(requests(4)))
    again = dict(backend.generate(requests(4)))
    assert first == again
    assert len({c.text for c in first[2]}) > 1
    # Request 1 begins with the seed that is request 0's second, on another prompt.
    assert first[0][1].text != first[1][0].text


def test_guided_always_reaches_a_verdict(backend: TransformersBackend) -> None:
    verdict = VerdictReading(guided=True, close_on_budget=True)
    for _, completions in backend.generate(requests(2, verdict=verdict, prefill="<think>\n")):
        for completion in completions:
            assert completion.finish_reason is FinishReason.CLOSED
            assert completion.text.startswith("<think>\n")
            assert completion.text.endswith(("<answer>A</answer>", "<answer>B</answer>", "<answer>tie</answer>"))
            assert completion.label_logprobs is not None
            assert sum(torch.tensor(list(completion.label_logprobs.values())).exp()) == pytest.approx(1)


def test_guided_without_closing_is_truncated(backend: TransformersBackend) -> None:
    verdict = VerdictReading(guided=True)
    reasons = {
        c.finish_reason for _, cs in backend.generate(requests(2, verdict=verdict, prefill="<think>\n")) for c in cs
    }
    assert reasons <= {FinishReason.LENGTH, FinishReason.STOP}
    assert FinishReason.LENGTH in reasons


def test_label_probabilities_are_those_of_the_model(backend: TransformersBackend) -> None:
    request = GenerationRequest(
        (Message("user", "Q"),), (0,), Decoding(0.0), prefill="<answer>", verdict=VerdictReading()
    )
    completion = next(backend.generate([request]))[1][0]
    labels = {
        label: backend.score([ScoreRequest(request.messages, "<answer>" + text)])[0].logprob
        for label, text in {"A": "A", "B": "B", "tie": "tie"}.items()
    }
    anchor = backend.score([ScoreRequest(request.messages, "<answer>")])[0].logprob
    full = torch.tensor([labels[label] - anchor for label in ("A", "B", "tie")])
    expected = torch.log_softmax(full, -1).tolist()
    assert completion.label_logprobs is not None
    assert [completion.label_logprobs[label] for label in ("A", "B", "tie")] == pytest.approx(expected, abs=1e-4)
    assert completion.completion_tokens == 0


def test_scores_do_not_depend_on_the_batch(backend: TransformersBackend, tiny_model: Path) -> None:
    messages = [(Message("user", "short"),), (Message("user", "a much longer prompt " * 9),)]
    everything = [ScoreRequest(m, text) for m in messages for text in ("one", "and something longer to score", "")]
    alone = [backend.score([request])[0] for request in everything]
    small = TransformersBackend(tiny_model, batching=Batching(prefill_tokens=300))
    for other in (backend.score(everything), small.score(everything), backend.score(everything[::-1])[::-1]):
        assert [score.tokens for score in other] == [score.tokens for score in alone]
        assert [score.logprob for score in other] == pytest.approx([score.logprob for score in alone], abs=1e-4)
    ids = backend.encoder.prompt(messages[0])
    answer = backend.encoder.fragment("one")
    with torch.inference_mode():
        logits = backend.model(torch.tensor([ids + answer])).logits[0].log_softmax(-1)
    by_hand = sum(float(logits[len(ids) + i - 1, token]) for i, token in enumerate(answer))
    assert alone[0].logprob == pytest.approx(by_hand, abs=1e-4)
    assert alone[2] == Score(0.0, 0)


def test_prompts_are_prefilled_once(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    inner = backend.model.forward

    def counting(ids: torch.Tensor, **options: object) -> object:
        seen.append(ids.numel())
        return inner(ids, **options)

    monkeypatch.setattr(backend.model, "forward", counting)
    one = requests(4)[2:3]
    list(backend.generate(one))
    assert seen[0] == len(backend.encoder.prompt(one[0].messages))
    assert max(seen[1:]) <= 4


def test_judging_real_comparisons(backend: TransformersBackend) -> None:
    judge = Judge(backend, sampling=Sampling(votes=2, max_new_tokens=8, close_on_budget=True))
    decisions = judge.judge([make("one"), make("two", a="[Response B]\n<answer>B</answer><|end|>", b="x")])
    assert [d.coverage for d in decisions] == [1.0, 1.0]
    assert all(vote.probabilities for d in decisions for vote in d.judgments)


def test_refusals(tiny_model: Path, tmp_path: Path, backend: TransformersBackend) -> None:
    with pytest.raises(PromptTooLongError, match="exceed the model's context"):
        list(backend.generate([GenerationRequest((Message("user", "x" * 5000),), (0,))]))
    with pytest.raises(ConfigError, match="not one torch knows"):
        TransformersBackend(tiny_model, device="abacus")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        TransformersBackend(tmp_path)
    cut = tmp_path / "cut"
    shutil.copytree(tiny_model, cut)
    (cut / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded: Error while deserializing"):
        TransformersBackend(cut)


def test_a_guided_rationale_may_contain_spaces(tiny_model: Path) -> None:
    """Where « » is a token of its own, forbidding the tag « <answer>» must not forbid every space."""
    backend = TransformersBackend(tiny_model)
    space = backend.encoder.fragment(" ")
    assert backend.encoder.fragment(" <answer>")[: len(space)] == space
    request = GenerationRequest((Message("user", "x"),), (0,), Decoding(0.0), "<think>\n", verdict=VerdictReading())
    row = backend._stepper.start(request, 0, 0, 1)
    logits = torch.zeros(1, backend.config.vocab_size)
    logits[0, space[0]] = 9.0
    assert backend._stepper.step([row], logits, {}) == space


def test_a_gpu_decodes_more_rows_in_a_share_of_its_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60 << 30, 80 << 30))
    assert Batching.on(torch.device("cpu")) == Batching()
    found = Batching.on(torch.device("cuda"))
    assert found.rows > Batching().rows and found.cache_bytes == 20 << 30
