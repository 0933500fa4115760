"""The vLLM backend: many prompts at once, with the answers that the transformers backend would give.

Ids come from our own encoder, tokens are chosen by our own random numbers (``vllm_choice``), and what the engine wrote is read
token by token by the ``Stepper`` of the transformers backend. A verdict is a request of its own for one token; all but the end
of its prompt is in the engine's cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gramr2.backends.base import Completion, Decoding, GenerationRequest, Score, ScoreRequest
from gramr2.backends.encoding import Encoder
from gramr2.backends.identity import FP32_LABELS, identity
from gramr2.backends.loading import loading
from gramr2.backends.pretrained import (
    causal_config,
    context_of,
    ends_of,
    generation_config,
    open_tokenizer,
    refuse_beyond,
)
from gramr2.backends.prompts import prompts_of
from gramr2.backends.registry import resolve
from gramr2.backends.sampling import Row, Stepper
from gramr2.backends.vllm_choice import Wish
from gramr2.backends.vllm_engine import Answer, Ask, Engine, EngineFailure, VLLMEngine
from gramr2.comparison import Message
from gramr2.errors import ModelError
from gramr2.judgment import FinishReason

CHUNK = 128
"""requests that are recomputed together after an interruption"""
_GREEDY = Wish(0, Decoding(0.0))


@dataclass
class _Sample:
    """One sample under way: its row, its prompt, and how many random numbers of its seed are used up."""

    row: Row
    prompt: list[int]
    labels: dict[str, int]
    drawn: int = 0


class VLLMBackend:
    """A causal language model from a folder, the hub, a GGUF file or a named model, run by vLLM in this process.

    The same call gives the same tokens as ``TransformersBackend``, as far as the two compute the same logits: in fp32 nearly
    always, in bf16 less often. The id says ``vllm``, so the two never share answers. Greedy or sampled, the same calls in the
    same order give the same answers on the same machine and build of vLLM.

    Args:
        model: anything ``gramr2.backends.registry.resolve`` accepts; a LoRA adapter has to be merged first (``gramr2 export``).
        revision: hub revision.
        dtype: ``auto`` (fp32 on a CPU, bf16 on a GPU that has it), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, or what this build of vLLM runs on.
        trust_remote_code: run Python code that comes with the model. Off by default.
        chat_template_options: variables for the chat template.
        engine_options: further arguments of vLLM's ``EngineArgs``, such as ``{"gpu_memory_utilization": 0.5}``.
        engine: a replacement for vLLM, for tests.

    Raises:
        MissingDependencyError: vLLM is not installed.
        ModelNotFoundError: there is no model of that name.
        ModelError: the files are there but cannot be loaded.
    """

    chunk = CHUNK

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        trust_remote_code: bool = False,
        chat_template_options: dict[str, Any] | None = None,
        engine_options: dict[str, Any] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.folder = folder = resolve(str(model), revision=revision)
        tokenizer = open_tokenizer(folder, trust_remote_code=trust_remote_code)
        config = causal_config(folder, trust_remote_code=trust_remote_code)
        refuse_beyond(config.get_text_config(decoder=True).vocab_size, tokenizer, folder)
        with loading("the tokenizer", folder):
            self.encoder = Encoder(tokenizer, chat_template_options)
        self._how: dict[str, Any] = {
            "device": device,
            "trust_remote_code": trust_remote_code,
            "options": engine_options,
        }
        self._engine: Engine | None = engine or VLLMEngine(folder, dtype=dtype, **self._how)
        self._dtype = self._engine.dtype
        self._labels = FP32_LABELS if self._engine.fp32_head and self._dtype != "float32" else ""
        self.context_length = min(context_of(config, folder), self._engine.context_length)
        """the smaller of ``max_position_embeddings`` and what fits into the engine's memory"""
        ends = ends_of(config, generation_config(folder)) - {*tokenizer.all_special_ids}
        self._id = identity(folder, self.encoder, ends)
        self._stepper = Stepper(self.encoder, ends)
        self._keys = itertools.count()
        self._found: dict[str, Answer] = {}
        self._live = 0
        self._failure: str | None = None

    @property
    def id(self) -> str:
        """That of ``TransformersBackend`` and ``vllm``: the last digits of the logits, and with them a token, may differ."""
        return f"{self._id}{self._labels}:{self._dtype}:vllm"

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of the rendered prompt and the answer."""
        return self.encoder.count(messages, answer)

    def close(self) -> None:
        """Give back the memory of the model and the cache; the next request loads it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``. If the engine fails, what is not done ends in an error, and so does the next call.

        Raises:
            PromptTooLongError: a prompt and its budget exceed the model's context.
            ModelError: the engine has failed before.
        """
        prompts, _ = prompts_of(self.encoder, requests, self.context_length)
        labels = {each: self.encoder.label_ids(each) for each in {request.verdict for request in requests} if each}
        samples = [
            _Sample(
                self._stepper.start(request, i, sample, len(prompts[i])),
                prompts[i],
                labels[request.verdict] if request.verdict else {},
            )
            for i, request in enumerate(requests)
            for sample in range(len(request.seeds))
        ]
        left = [len(request.seeds) for request in requests]
        done: list[dict[int, Completion]] = [{} for _ in requests]
        for row in self._written(samples):
            done[row.index][row.sample] = self._stepper.completion(row)
            left[row.index] -= 1
            if not left[row.index]:
                yield row.index, [done[row.index][sample] for sample in range(len(done[row.index]))]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See ``Backend.score``; the text is scored as the answer, without an end-of-turn token.

        Raises:
            ModelError: a text is too long, or its probability is not a number.
        """
        answers = [self.encoder.fragment(request.text) for request in requests]
        asks = {
            i: Ask([*self.encoder.prompt(request.messages), *answer], _GREEDY, 1, scored=True)
            for i, (request, answer) in enumerate(zip(requests, answers, strict=True))
            if answer
        }
        found = dict.fromkeys(range(len(requests)), 0.0)
        for i, answer in self._answers(asks):
            values = answer.given[-len(answers[i]) :]
            found[i] = math.fsum(values)
            if answer.error is not None or not math.isfinite(found[i]):
                raise ModelError(
                    f"{self.folder}: a text cannot be scored: {answer.error or 'the logits are not finite'}"
                )
        return [Score(found[i], len(answer)) for i, answer in enumerate(answers)]

    def _written(self, samples: list[_Sample]) -> Iterator[Row]:
        """The rows of the samples as they end."""
        asks = {i: self._next(sample) for i, sample in enumerate(samples)}
        for i, answer in self._answers(asks):
            sample = samples[i]
            self._read(sample, answer)
            if sample.row.finish is None:
                asks[i] = self._next(sample)
            else:
                yield sample.row

    def _answers(self, asks: dict[int, Ask]) -> Iterator[tuple[int, Answer]]:
        """The answers as they come. Asks are taken out of ``asks``, and may be put in while others are under way."""
        engine = self._running()
        if not self._live:
            engine.refresh()
        waiting: dict[str, int] = {}
        self._live += 1
        try:
            while asks or waiting:
                while asks:
                    i = min(asks)
                    key = str(next(self._keys))
                    refused = self._failure or engine.add(key, asks.pop(i))
                    if refused is None:
                        waiting[key] = i
                    else:
                        yield i, Answer(error=refused)
                try:
                    # Another call may be under way, whose answers come with ours.
                    self._found.update(engine.step() if waiting else ())
                except EngineFailure as error:
                    self._failure = str(error)
                    self._found.update((key, Answer(error=self._failure)) for key in waiting)
                for key in [key for key in waiting if key in self._found]:
                    yield waiting.pop(key), self._found.pop(key)
        finally:
            self._live -= 1
            if waiting and self._failure is None:
                engine.drop(waiting)
            for key in waiting:
                self._found.pop(key, None)

    def _running(self) -> Engine:
        if self._failure is not None:
            raise ModelError(f"{self.folder}: vLLM has failed ({self._failure}): start again")
        if self._engine is None:
            self._engine = VLLMEngine(self.folder, dtype=self._dtype, **self._how)
        return self._engine

    def _next(self, sample: _Sample) -> Ask:
        """What a sample needs next: its rationale, or its verdict."""
        row, decoding, verdict = sample.row, sample.row.request.decoding, sample.row.request.verdict
        ids = [*sample.prompt, *row.ids]
        if row.guided and row.at_verdict:
            return Ask(ids, _GREEDY, 1, wanted=tuple(sample.labels.values()))
        tags = (verdict.close, verdict.anchor) if row.guided and verdict is not None else ()
        return Ask(
            ids,
            Wish(row.request.seeds[row.sample], decoding, sample.drawn, tuple(self._stepper.forbidden(row))),
            decoding.max_new_tokens - row.written,
            stops=(*row.request.stop, *tags),
            ends=tuple(sorted(self._stepper.ends)),
            wanted=() if row.guided else tuple(sample.labels.values()),
        )

    def _read(self, sample: _Sample, answer: Answer) -> None:
        """Follow what the engine wrote, up to the verdict or the end of the sample; it may have written more than that."""
        row = sample.row
        if answer.error is not None or not answer.ids:
            row.finish, row.error = FinishReason.ERROR, f"vLLM: {answer.error or 'it wrote nothing'}"
            return
        for token, logprobs in zip(answer.ids, answer.logprobs, strict=True):
            if row.guided and row.at_verdict:
                self._read_verdict(sample, logprobs, choose=True)
                break
            if row.at_verdict:
                self._read_verdict(sample, logprobs, choose=False)
            if not math.isfinite(logprobs[token]):
                row.fail()
            if row.finish is not None:
                break
            if row.request.decoding.temperature:
                sample.drawn += 1
                row.rng.random()
            self._stepper.append(row, token)
            if row.queue:
                row.ids.extend(row.queue)
                row.queue.clear()
                break
            if row.finish is not None:
                break

    def _read_verdict(self, sample: _Sample, logprobs: dict[int, float], *, choose: bool) -> None:
        values = torch.tensor([logprobs[id] for id in sample.labels.values()], dtype=torch.float64)
        self._stepper.read_verdict(sample.row, values, [*sample.labels], choose=choose)
