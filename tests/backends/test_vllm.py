"""The vLLM backend on an engine of our own: the same answers as the transformers backend, and every way to fail."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3Config, LlamaConfig

from gramr2.backends import vllm as module
from gramr2.backends.base import Completion, Decoding, GenerationRequest, ScoreRequest, VerdictReading
from gramr2.backends.transformers import TransformersBackend
from gramr2.backends.vllm import VLLMBackend
from gramr2.backends.vllm_choice import Chooser
from gramr2.backends.vllm_engine import Answer, Ask, EngineFailure, head_in_fp32
from gramr2.comparison import Message
from gramr2.errors import MissingDependencyError, ModelError, PromptTooLongError
from gramr2.judgment import FinishReason
from gramr2.written import own

PROMPTS = ["Hello", "Hello there, how are you?", "Hello " * 12, "What?"]
GUIDED = VerdictReading(close_on_budget=True)


class ReferenceEngine:
    """A model asked as vLLM asks it: rows that requests enter and leave, a ``Chooser`` on their logits, then the most likely."""

    dtype = "float32"
    context_length = 4096
    fp32_head = True

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.chooser = Chooser()
        self.asked: list[Ask] = []
        self.rows: list[tuple[str, Ask, list[int], list[dict[int, float]]]] = []
        self.refreshed = 0

    def refresh(self) -> None:
        assert not self.rows
        self.refreshed += 1

    def add(self, key: str, ask: Ask) -> str | None:
        self.asked.append(ask)
        written: list[int] = []
        self.chooser.put(len(self.rows), ask.wish, written)
        self.rows.append((key, ask, written, []))
        return None

    @torch.inference_mode()
    def step(self) -> list[tuple[str, Answer]]:
        raw = torch.cat([self.model(torch.tensor([[*a.ids, *w]])).logits[:, -1] for _, a, w, _ in self.rows]).float()
        logprobs = raw.log_softmax(-1)
        tokens = self.chooser.apply(raw).argmax(-1).tolist()
        done = []
        for (key, ask, written, kept), token, at in zip(list(self.rows), tokens, logprobs, strict=True):
            written.append(token)
            kept.append({id: float(at[id]) for id in (token, *ask.wanted)})
            text = self.tokenizer.decode(written)
            if token in ask.ends or any(stop in text for stop in ask.stops) or len(written) == ask.tokens:
                done.append((key, Answer(tuple(written), tuple(kept), self._given(ask) if ask.scored else ())))
        self.drop(key for key, _ in done)
        return done

    def _given(self, ask: Ask) -> tuple[float, ...]:
        ids = torch.tensor([list(ask.ids)])
        logprobs = self.model(ids).logits[0, :-1].log_softmax(-1)
        return tuple(logprobs.gather(1, ids[0, 1:, None])[:, 0].tolist())

    def drop(self, keys: Iterable[str]) -> None:
        for key in keys:
            place = next(i for i, row in enumerate(self.rows) if row[0] == key)
            last = len(self.rows) - 1
            self.chooser.drop(place)
            if place != last:
                # As vLLM does it: the last request fills the hole.
                self.chooser.move(last, place, swap=False)
                self.rows[place] = self.rows[last]
            self.rows.pop()

    def close(self) -> None:
        self.rows.clear()


class ScriptedEngine:
    """Writes what it is told, whatever it is asked; the labels' log-probabilities are those of ``beliefs``."""

    dtype = "float32"
    context_length = 4096
    fp32_head = True

    def __init__(
        self, *texts: Sequence[int], beliefs: Sequence[float] = (0.6, 0.3, 0.1), logprob: float = -1.0
    ) -> None:
        self.texts = list(texts)
        self.beliefs, self.logprob = [math.log(each) for each in beliefs], logprob
        self.asked: list[Ask] = []
        self.waiting: dict[str, Ask] = {}
        self.dropped: list[str] = []
        self.closed = False
        self.refuses: list[str] = []
        self.breaks_after: int | None = None

    def refresh(self) -> None: ...

    def add(self, key: str, ask: Ask) -> str | None:
        self.asked.append(ask)
        if self.refuses and (reason := self.refuses.pop(0)):
            return reason
        self.waiting[key] = ask
        return None

    def step(self) -> list[tuple[str, Answer]]:
        if self.breaks_after == 0:
            raise EngineFailure("RuntimeError: CUDA error")
        if self.breaks_after is not None:
            self.breaks_after -= 1
        key = next(iter(self.waiting))
        ask = self.waiting.pop(key)
        ids = [ask.wanted[0]] if ask.wanted and ask.tokens == 1 else self.texts.pop(0)[: ask.tokens]
        at = dict(zip(ask.wanted, self.beliefs, strict=False))
        return [(key, Answer(tuple(ids), tuple({id: self.logprob, **at} for id in ids)))]

    def drop(self, keys: Iterable[str]) -> None:
        self.dropped += list(keys)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def ours(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model)


@pytest.fixture
def engine(ours: TransformersBackend) -> ReferenceEngine:
    return ReferenceEngine(ours.model, ours.encoder.tokenizer)


def on(engine: Any, folder: Path) -> VLLMBackend:
    return VLLMBackend(folder, engine=engine)


def requests(seeds: int = 3, temperature: float = 1.0, tokens: int = 12, **options: Any) -> list[GenerationRequest]:
    decoding = Decoding(temperature, 0.95, tokens)
    texts = [(Message("user", "One shared beginning of all prompts. " + text),) for text in PROMPTS]
    return [GenerationRequest(t, tuple(range(i, i + seeds)), decoding, **options) for i, t in enumerate(texts)]


def one(**options: Any) -> GenerationRequest:
    return requests(1, 0.0, **{"verdict": GUIDED, "prefill": "<think>\n"} | options)[0]


def answer(backend: VLLMBackend, request: GenerationRequest) -> Completion:
    [(index, [completion])] = backend.generate([request])
    assert index == 0
    return completion


@pytest.mark.parametrize(
    "asked",
    [
        requests(1, 0.0),
        requests(3, 1.0),
        requests(2, 0.7, verdict=GUIDED, prefill="<think>\n"),
        requests(2, 1.5, verdict=VerdictReading(), prefill="<think>\n"),
        requests(3, 0.8, verdict=GUIDED, prefill="<answer>"),
        requests(2, 1.0, verdict=VerdictReading(guided=False), prefill="<think>\nSo</think>\n<answer>"),
        requests(2, 1.0, stop=("e", "\n")),
    ],
    ids=["greedy", "sampled", "guided", "truncated", "label only", "unguided", "stopped"],
)
def test_the_answers_are_those_of_the_transformers_backend(
    asked: list[GenerationRequest], ours: TransformersBackend, engine: ReferenceEngine, tiny_model: Path
) -> None:
    expected = dict(ours.generate(asked))
    found = dict(on(engine, tiny_model).generate(asked))
    assert found.keys() == expected.keys()
    for i in expected:
        for one, two in zip(found[i], expected[i], strict=True):
            assert (one.text, one.finish_reason, one.error) == (two.text, two.finish_reason, None)
            assert (one.prompt_tokens, one.completion_tokens) == (two.prompt_tokens, two.completion_tokens)
            assert (one.label_logprobs is None) == (two.label_logprobs is None)
            if one.label_logprobs and two.label_logprobs:
                assert one.label_logprobs == pytest.approx(two.label_logprobs, abs=1e-4)
    if asked[0].decoding.temperature and len(asked[0].seeds) > 2 and not asked[0].verdict:
        assert len({each.text for each in found[2]}) > 1, "votes are not copies"


def test_scores_are_those_of_the_transformers_backend(
    ours: TransformersBackend, engine: ReferenceEngine, tiny_model: Path
) -> None:
    asked = [ScoreRequest((Message("user", text),), answer) for text in PROMPTS for answer in ("one", "", "and more")]
    found, expected = on(engine, tiny_model).score(asked), ours.score(asked)
    assert [each.tokens for each in found] == [each.tokens for each in expected]
    assert [each.logprob for each in found] == pytest.approx([each.logprob for each in expected], abs=1e-4)


def test_a_label_needs_one_prefill_of_one_token(engine: ReferenceEngine, tiny_model: Path) -> None:
    list(on(engine, tiny_model).generate(requests(1, 0.0, verdict=GUIDED, prefill="<answer>")))
    assert [ask.tokens for ask in engine.asked] == [1] * len(PROMPTS)


def test_the_same_call_twice_is_scheduled_alike(engine: ReferenceEngine, tiny_model: Path) -> None:
    backend = on(engine, tiny_model)
    first = list(backend.generate(requests(2)))
    assert list(backend.generate(requests(2))) == first
    assert engine.refreshed == 2


def test_the_bridge_is_written_where_the_model_closes_its_rationale(
    ours: TransformersBackend, tiny_model: Path
) -> None:
    encode = ours.encoder.fragment
    written = encode("Feedback: fine.\n</think>")
    scripted = ScriptedEngine([*written, *encode(" and more that nobody asked for")])
    done = answer(on(scripted, tiny_model), one(tokens=200))
    assert done.text == "<think>\nFeedback: fine.\n</think>\n<answer>A</answer>"
    assert done.finish_reason is FinishReason.STOP
    assert done.label_logprobs == pytest.approx({"A": math.log(0.6), "B": math.log(0.3), "tie": math.log(0.1)})
    rationale, verdict = scripted.asked
    assert verdict.ids == [*rationale.ids, *written, *encode("\n<answer>")]
    assert verdict.tokens == 1
    assert verdict.wanted == tuple(ours.encoder.label_ids(GUIDED).values())
    assert {"</think>", "<answer>"} <= set(rationale.stops)
    assert set(rationale.ends) >= {*ours.encoder.tokenizer.all_special_ids}


@pytest.mark.parametrize("close", [True, False])
def test_a_rationale_that_ends_its_turn_is_closed_or_not(
    ours: TransformersBackend, tiny_model: Path, close: bool
) -> None:
    written = ours.encoder.fragment("Feedback: none.")
    scripted = ScriptedEngine([*written, ours.encoder.tokenizer.eos_token_id])
    done = answer(on(scripted, tiny_model), one(tokens=200, verdict=VerdictReading(close_on_budget=close)))
    if close:
        assert done.text == "<think>\nFeedback: none.\n</think>\n<answer>A</answer>"
        assert done.finish_reason is FinishReason.CLOSED
    else:
        assert (done.text, done.finish_reason) == ("<think>\nFeedback: none.", FinishReason.STOP)
        assert done.label_logprobs is None


def test_an_engine_that_stops_too_early_is_asked_for_the_rest(ours: TransformersBackend, tiny_model: Path) -> None:
    encode = ours.encoder.fragment
    halves = [encode("Feedback: "), encode("fine.</think>")]
    scripted = ScriptedEngine(*halves)
    done = answer(on(scripted, tiny_model), one(tokens=200))
    assert done.text == "<think>\nFeedback: fine.</think>\n<answer>A</answer>"
    assert scripted.asked[1].ids == [*scripted.asked[0].ids, *halves[0]]
    assert scripted.asked[1].tokens == 200 - len(halves[0])


def test_the_rest_of_a_sample_goes_on_with_its_random_numbers(ours: TransformersBackend, tiny_model: Path) -> None:
    encode = ours.encoder.fragment
    scripted = ScriptedEngine(encode("Feedback: "), encode("fine.</think>"))
    request = requests(1, 0.8, 200, verdict=GUIDED, prefill="<think>\n")[0]
    answer(on(scripted, tiny_model), request)
    assert [ask.wish.skipped for ask in scripted.asked[:2]] == [0, len(encode("Feedback: "))]
    assert {ask.wish.seed for ask in scripted.asked[:2]} == {request.seeds[0]}


def test_a_guided_rationale_must_not_hold_a_verdict() -> None:
    # The random model's tokenizer begins both tags with the same token; the laboratory's does not.
    scripted = ScriptedEngine()
    backend = VLLMBackend("lab-tiny", engine=scripted)
    scripted.texts = [backend.encoder.fragment("Feedback")[:1] * 12]
    answer(backend, one())
    assert backend.encoder.fragment(own("<answer>"))[0] in scripted.asked[0].wish.forbidden


def test_an_unguided_verdict_is_read_at_its_own_token(ours: TransformersBackend, tiny_model: Path) -> None:
    encode = ours.encoder.fragment
    scripted = ScriptedEngine([*encode("Fine.</think>\n<answer>"), *encode("B</answer>")])
    request = one(tokens=200, verdict=VerdictReading(guided=False), stop=("</answer>",))
    done = answer(on(scripted, tiny_model), request)
    assert done.text == "<think>\nFine.</think>\n<answer>B</answer>"
    assert done.label_logprobs == pytest.approx({"A": math.log(0.6), "B": math.log(0.3), "tie": math.log(0.1)})
    assert [ask.wanted for ask in scripted.asked] == [tuple(ours.encoder.label_ids(GUIDED).values())]
    assert scripted.asked[0].wish.forbidden == (), "only a guided rationale must not hold a verdict"


def test_a_refused_request_is_the_error_of_its_own_completion(tiny_model: Path, ours: TransformersBackend) -> None:
    scripted = ScriptedEngine(*[ours.encoder.fragment("Fine.</think>")] * 3)
    scripted.refuses = ["", "Token id 7 is out of vocabulary"]
    found = dict(on(scripted, tiny_model).generate(requests(1, 0.0, 200, verdict=GUIDED, prefill="<think>\n")))
    assert [found[i][0].finish_reason for i in range(4)] == [
        FinishReason.STOP,
        FinishReason.ERROR,
        *[FinishReason.STOP] * 2,
    ]
    assert found[1][0].error == "vLLM: Token id 7 is out of vocabulary"


def test_what_was_done_before_the_engine_broke_is_kept(tiny_model: Path) -> None:
    scripted = ScriptedEngine()
    scripted.breaks_after = 2
    backend = on(scripted, tiny_model)
    found = dict(backend.generate(requests(1, 0.0, verdict=GUIDED, prefill="<answer>")))
    assert [found[i][0].finish_reason for i in range(4)] == [FinishReason.STOP] * 2 + [FinishReason.ERROR] * 2
    assert found[3][0].error == "vLLM: RuntimeError: CUDA error"
    with pytest.raises(ModelError, match="vLLM has failed .RuntimeError: CUDA error"):
        list(backend.generate(requests(1)))


def test_logits_that_are_no_numbers_are_an_error(tiny_model: Path, ours: TransformersBackend) -> None:
    scripted = ScriptedEngine(ours.encoder.fragment("Fine."), logprob=math.nan)
    done = answer(on(scripted, tiny_model), one())
    assert done.finish_reason is FinishReason.ERROR
    assert "NaN" in str(done.error)
    broken = ScriptedEngine()
    broken.beliefs = [math.nan] * 3
    done = answer(on(broken, tiny_model), one(prefill="<answer>"))
    assert (done.finish_reason, done.label_logprobs) == (FinishReason.ERROR, None)


def test_a_call_that_is_left_takes_its_requests_along(tiny_model: Path) -> None:
    scripted = ScriptedEngine()
    flow = on(scripted, tiny_model).generate(requests(1, 0.0, verdict=GUIDED, prefill="<answer>"))
    next(flow)
    flow.close()  # type: ignore[attr-defined]
    assert len(scripted.dropped) == 3


def test_two_calls_at_once_get_their_own_answers(engine: ReferenceEngine, tiny_model: Path) -> None:
    backend = on(engine, tiny_model)
    left, right = requests(1, 0.0), requests(1, 0.0, stop=("e",))
    alone = [dict(backend.generate(left)), dict(backend.generate(right))]
    first, second = backend.generate(left), backend.generate(right)
    found: list[dict[int, list[Completion]]] = [{}, {}]
    for _ in PROMPTS:
        for place, flow in enumerate((first, second)):
            index, completions = next(flow)
            found[place][index] = completions
    assert found == alone


def test_a_prompt_that_does_not_fit_is_refused(tiny_model: Path) -> None:
    scripted = ScriptedEngine()
    scripted.context_length = 20
    with pytest.raises(PromptTooLongError, match="context of 20"):
        list(on(scripted, tiny_model).generate(requests(1)))


def test_a_closed_backend_opens_its_engine_again(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = ScriptedEngine()
    backend = on(scripted, tiny_model)
    backend.close()
    assert scripted.closed
    opened: list[dict[str, Any]] = []

    def again(folder: Path, **options: Any) -> ScriptedEngine:
        opened.append({"folder": folder, **options})
        return ScriptedEngine()

    monkeypatch.setattr(module, "VLLMEngine", again)
    assert answer(backend, one(prefill="<answer>")).text == "<answer>A</answer>"
    assert [(each["folder"], each["dtype"]) for each in opened] == [(tiny_model, "float32")]


def test_the_id_tells_the_engine_and_the_weights(tiny_model: Path, ours: TransformersBackend) -> None:
    engine = ScriptedEngine()
    assert on(engine, tiny_model).id == f"{ours.id}:vllm"
    engine.dtype = "bfloat16"
    same = TransformersBackend(tiny_model, dtype="bfloat16")
    assert on(engine, tiny_model).id == f"{same.id}:vllm"
    engine.fp32_head = False
    assert on(engine, tiny_model).id == f"{ours.id}:vllm".replace("float32", "bfloat16"), "label logits are rounded"


def test_logits_in_fp32_are_asked_for_where_the_language_model_reads_it() -> None:
    fp32 = {"head_dtype": "float32"}
    assert head_in_fp32(LlamaConfig()) == fp32
    assert head_in_fp32(Gemma3Config()) == {**fp32, "text_config": fp32}
    assert head_in_fp32(LlamaConfig(quantization_config={"quant_method": "gptq"})) == {}


def test_without_vllm_there_is_a_line_for_pip(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*vllm"):
        VLLMBackend(tiny_model)
