"""A judge behind an OpenAI-compatible chat API: vLLM, llama.cpp, SGLang, or a provider.

Such an API does not accept the beginning of an answer, so nothing is guided: the prompt asks for the format, and the parser reads
what comes back. If the server returns log-probabilities, those of the labels are read at the verdict's token; if not, a vote is
certain of its label. A request that the server refuses is an error of that judgment, not a verdict.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import urlparse

from gramr2.backends.base import Completion, GenerationRequest, Score, ScoreRequest, VerdictReading
from gramr2.comparison import Message
from gramr2.errors import ConfigError, MissingDependencyError, ModelError, ModelNotFoundError
from gramr2.judgment import FinishReason

log = logging.getLogger("gramr2")

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
ROOM_FOR_VERDICT = 16
"""tokens on top of the rationale's budget, for tags that other backends write themselves"""
TOP = 20
"""alternatives requested at each token: the most that these APIs return"""
CHARACTERS_PER_TOKEN = 4
SEEDS = 1 << 31


class OpenAIBackend:
    """A remote model.

    Args:
        model: ``NAME`` at OpenAI, or ``NAME@URL`` at another server, such as ``my-model@http://127.0.0.1:8000/v1``. The key is
            taken from ``OPENAI_API_KEY``; a server of your own may need none.
        workers: concurrent requests.
        retries: how often a request is sent again after 429, 5xx or a failed connection.
        timeout: seconds to wait for one answer.
        client: a replacement for the OpenAI client, for tests.

    Raises:
        ConfigError: the name or the URL is missing, or there is no key for OpenAI itself.
        MissingDependencyError: the package ``openai`` is not installed.
    """

    context_length = 1 << 30
    """not known; the server refuses a prompt that is too long, and never truncates it"""
    chunk = None

    def __init__(
        self, model: str, *, workers: int = 16, retries: int = 5, timeout: float = 300.0, client: Any = None
    ) -> None:
        self.name, at, url = model.partition("@")
        url = url if at else OPENAI
        if not self.name or urlparse(url).scheme not in ("http", "https") or not urlparse(url).netloc:
            raise ConfigError(
                f"{PREFIX}{model} does not name a model and a server: write it like openai:NAME@http://127.0.0.1:8000/v1"
            )
        if client is None:
            client = _client(url, retries, timeout)
        self._client = client
        self._own = url == OPENAI
        self._workers = workers
        self._place = urlparse(url).netloc
        self._logprobs = True
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """Name and server; only the server knows which weights are behind them."""
        return f"{PREFIX}{self.name}@{self._place}"

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """An estimate from the number of characters: only the server has the tokenizer."""
        return (sum(len(turn.content) for turn in messages) + len(answer)) // CHARACTERS_PER_TOKEN

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; requests run concurrently, with one call per sample.

        Raises:
            ModelError: the server does not know the model or the key, cannot be reached, or the request needs something that
                a chat API cannot do.
        """
        if any(request.written for request in requests):
            raise ModelError(f"{self.id}: a chat API does not accept a partial answer, which this measurement needs")
        left = [len(request.seeds) for request in requests]
        found: list[list[Completion | None]] = [[None] * count for count in left]
        with ThreadPoolExecutor(self._workers) as pool:
            jobs: dict[Future[Completion], tuple[int, int]] = {
                pool.submit(self._sample, request, seed): (index, place)
                for index, request in enumerate(requests)
                for place, seed in enumerate(request.seeds)
            }
            try:
                for job in as_completed(jobs):
                    index, place = jobs[job]
                    found[index][place] = job.result()
                    left[index] -= 1
                    if not left[index]:
                        yield index, [each for each in found[index] if each is not None]
            finally:
                # After an error, or when the caller has stopped iterating, send no further requests.
                pool.shutdown(wait=False, cancel_futures=True)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Not possible here.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.id}: a chat API does not return the probability of a given text; use a local model for this"
        )

    def _sample(self, request: GenerationRequest, seed: int) -> Completion:
        import openai

        try:
            answer = self._ask(request, seed)
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ModelError(f"{self.id}: the key is not accepted ({_said(error)}): set {KEY}") from error
        except openai.NotFoundError as error:
            raise ModelNotFoundError(f"{self.id}: the server does not know this model ({_said(error)})") from error
        except openai.APIStatusError as error:
            return Completion("", FinishReason.ERROR, error=f"{error.status_code}: {_said(error)}")
        except openai.APIConnectionError as error:
            raise ModelError(f"{self.id}: the server cannot be reached ({error.__cause__ or error})") from error
        if not answer.choices:
            return Completion("", FinishReason.ERROR, error="the server returned no choices")
        choice, usage = answer.choices[0], answer.usage
        if choice.finish_reason == "content_filter":
            return Completion("", FinishReason.ERROR, error="the server's content filter stopped the answer")
        length = choice.finish_reason == "length"
        return Completion(
            text=_text(choice.message, request.prefill),
            finish_reason=FinishReason.LENGTH if length else FinishReason.STOP,
            label_logprobs=_label_logprobs(choice.logprobs, request.verdict) if request.verdict else None,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
        )

    def _ask(self, request: GenerationRequest, seed: int) -> Any:
        import openai

        decoding = request.decoding
        # OpenAI has renamed this parameter; every other server knows the older name.
        budget = "max_completion_tokens" if self._own else "max_tokens"
        options: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": seed % SEEDS,
            budget: decoding.max_new_tokens + ROOM_FOR_VERDICT,
        }
        with_logprobs = self._logprobs and request.verdict is not None
        try:
            return self._client.chat.completions.create(
                **options, **({"logprobs": True, "top_logprobs": TOP} if with_logprobs else {})
            )
        except openai.BadRequestError as error:
            if not with_logprobs or "logprob" not in str(error):
                raise
            with self._lock:
                if self._logprobs:
                    log.warning("%s returns no log-probabilities, so votes are counted, not weighted", self.id)
                self._logprobs = False
            return self._client.chat.completions.create(**options)


def _client(url: str, retries: int, timeout: float) -> Any:
    if importlib.util.find_spec("openai") is None:
        raise MissingDependencyError("openai", "openai", "an openai: model")
    import openai

    key = os.environ.get(KEY)
    if not key and url == OPENAI:
        raise ConfigError(f"OpenAI needs a key: set {KEY}, or name a server of your own, openai:NAME@URL")
    return openai.OpenAI(base_url=url, api_key=key or "none", max_retries=retries, timeout=timeout)


def _text(message: Any, prefill: str) -> str:
    """What the model wrote, in the form of a completion with a prefill."""
    content = message.content or ""
    # Servers that remove a model's thinking from the answer return it in a field of its own.
    thinking = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    if isinstance(thinking, str) and "</think>" not in content:
        content = f"<think>\n{thinking.strip()}\n</think>\n{content}"
    if prefill == "<answer>" and "<answer>" not in content:
        # A model that is asked only for the verdict may leave the tags out.
        rest = content.rpartition("</think>")[2].strip()
        return f"<answer>{rest}</answer>"
    return content


def _label_logprobs(told: Any, reading: VerdictReading) -> dict[str, float] | None:
    """Log-probabilities of the labels at the token after the last anchor, normalised over the labels.

    A label that is not among the server's alternatives gets the probability of the least likely one, which is an upper bound.
    """
    tokens = list(getattr(told, "content", None) or ())
    text, place = "", None
    for index, each in enumerate(tokens):
        if text.rstrip().endswith(reading.anchor) and each.token.strip():
            place = index
        text += each.token
    if place is None:
        return None
    alternatives = tokens[place].top_logprobs or []
    found: dict[str, float] = {}
    for each in alternatives:
        word = each.token.strip()
        starts = [label for label in reading.labels if word and label.startswith(word)]
        named = [word] if word in reading.labels else starts
        if len(named) == 1:
            found[named[0]] = max(found.get(named[0], -math.inf), each.logprob)
    if not found:
        return None
    least = min(each.logprob for each in alternatives)
    values = {label: max(found.get(label, least), -100.0) for label in reading.labels}
    total = math.log(sum(math.exp(value) for value in values.values()))
    return {label: value - total for label, value in values.items()}


def _said(error: Any) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error).strip().splitlines()[0]
