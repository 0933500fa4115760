"""A judge behind an OpenAI-compatible chat API: vLLM, llama.cpp, SGLang, or a provider.

Such an API does not accept the beginning of an answer, so nothing is guided: the prompt asks for the format, and the parser reads
what comes back. If the server returns log-probabilities, those of the labels are read at the verdict's token; if not, a vote is
certain of its label. A request that the server refuses is an error of that judgment, not a verdict.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import urlparse

from gramr2.backends.base import Completion, GenerationRequest, Score, ScoreRequest
from gramr2.backends.breaker import CircuitBreaker
from gramr2.backends.chat_template import mark_of
from gramr2.backends.openai_answers import completion_of, failed, told
from gramr2.backends.openai_options import NEW, OLD, Accepted, RefusedOptions
from gramr2.comparison import Message
from gramr2.errors import ConfigError, MissingDependencyError, ModelError, ModelNotFoundError
from gramr2.judgment import FinishReason

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
CHARACTERS_PER_TOKEN = 4
OF_PROMPT = frozenset({400, 403, 413, 422})
"""statuses that may be one prompt's fault: too long, or not to the taste of a moderator"""
OF_OPTIONS = frozenset({400, 422})
"""statuses with which an option is refused"""


class OpenAIBackend:
    """A remote model.

    Args:
        model: ``NAME`` at OpenAI, or ``NAME@URL`` at another server, such as ``my-model@http://127.0.0.1:8000/v1``. The key is
            taken from ``OPENAI_API_KEY``; a server of your own may need none.
        workers: concurrent requests.
        retries: how often a request is sent again after 429, 5xx or a failed connection.
        timeout: seconds to wait for one answer.
        client: a replacement for the OpenAI client, for tests.
        chat_template_options: variables for the chat template of the model; sent with each request, as vLLM, SGLang and llama.cpp
            take them.

    Raises:
        ConfigError: the name or the URL is missing, or there is no key for OpenAI itself.
        MissingDependencyError: the package ``openai`` is not installed.
    """

    context_length = 1 << 30
    """not known; the server refuses a prompt that is too long, and never truncates it"""
    chunk = None

    def __init__(
        self,
        model: str,
        *,
        workers: int = 16,
        retries: int = 5,
        timeout: float = 300.0,
        client: Any = None,
        chat_template_options: dict[str, Any] | None = None,
    ) -> None:
        self.name, at, url = _parted(model)
        url = url if at else OPENAI
        if not self.name or not _is_address(url):
            raise ConfigError(
                f"{PREFIX}{model} does not name a model and a server: write it like openai:NAME@http://127.0.0.1:8000/v1"
            )
        if client is None:
            client = _client(url, retries, timeout)
        self._client = client
        self._workers = workers
        self._place = _place(url)
        self._hint = "" if urlparse(url).path.rstrip("/").endswith("/v1") else "; the address usually ends in /v1"
        # Never left out where a server refuses it: without it, the prompt would be another one.
        self._options = chat_template_options or {}
        self._refused = RefusedOptions(Accepted(NEW if url == OPENAI else OLD))
        self._breaker = CircuitBreaker()

    @property
    def id(self) -> str:
        """Name and server, and what the chat template is given; only the server knows which weights are behind them."""
        return f"{PREFIX}{self.name}@{self._place}{mark_of(self._options)}"

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """An estimate from the number of characters: only the server has the tokenizer."""
        return (sum(len(turn.content) for turn in messages) + len(answer)) // CHARACTERS_PER_TOKEN

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; requests run concurrently, with one call per sample.

        When the run has to stop, the answers that are there, and those that are on their way, still come, so that a journal can
        keep them; the error follows.

        Raises:
            ModelError: the server does not know the model or the key, cannot be reached, or has failed a dozen times from the
                start or in a row; or the request needs something that a chat API cannot do.
        """
        if any(request.written for request in requests):
            raise ModelError(f"{self.id}: a chat API does not accept a partial answer, which this measurement needs")
        found: list[dict[int, Completion]] = [{} for _ in requests]
        fatal: ModelError | None = None
        stop = threading.Event()

        def ask(request: GenerationRequest, seed: int) -> Completion | None:
            if stop.is_set():
                return None
            try:
                return self._sample(request, seed)
            except ModelError:
                # Here, and not where the results are read: until then the other threads would send more.
                stop.set()
                raise

        with ThreadPoolExecutor(self._workers) as pool:
            jobs: dict[Future[Completion | None], tuple[int, int]] = {
                pool.submit(ask, request, seed): (index, place)
                for index, request in enumerate(requests)
                for place, seed in enumerate(request.seeds)
            }
            try:
                for job in as_completed(jobs):
                    index, place = jobs[job]
                    try:
                        completion = job.result()
                    except ModelError as error:
                        fatal = fatal or error
                        continue
                    if completion is not None:
                        found[index][place] = completion
                        if len(found[index]) == len(requests[index].seeds):
                            yield index, [found[index][each] for each in range(len(found[index]))]
            finally:
                # After an error, or when the caller has stopped iterating, send no further requests.
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
        if fatal is not None:
            for index, request in enumerate(requests):
                if 0 < len(found[index]) < len(request.seeds):
                    unasked = failed("not asked: the run was stopped")
                    yield index, [found[index].get(each, unasked) for each in range(len(request.seeds))]
            raise fatal

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
            found = completion_of(self._ask(request, seed), request.prefill, request.verdict)
            of_prompt = True
        except openai.APIStatusError as error:
            if not self._breaker.proven:
                self._refuse_hopeless(error)
            found, of_prompt = failed(f"{error.status_code}: {_said(error)}"), error.status_code in OF_PROMPT
        except openai.APIConnectionError as error:
            said = f"the server cannot be reached ({error.__cause__ or error})"
            if not self._breaker.proven:
                raise ModelError(f"{self.id}: {said}{self._hint}") from error
            found, of_prompt = failed(said), False
        except openai.OpenAIError as error:
            found, of_prompt = failed(f"the request failed: {error}"), False
        if found.finish_reason is not FinishReason.ERROR:
            self._breaker.answered()
        elif failures := self._breaker.failed(of_prompt=of_prompt):
            raise ModelError(
                f"{self.id}: {failures} requests in a row failed, so no more are sent; the last answer was: {found.error}"
            )
        return found

    def _refuse_hopeless(self, error: Any) -> None:
        """Raise for what no first request can pass; later, it may be a passing trouble of a provider's."""
        if error.status_code == 401:
            raise ModelError(f"{self.id}: the key is not accepted ({_said(error)}): set {KEY}") from error
        if error.status_code == 404:
            raise ModelNotFoundError(
                f"{self.id}: the server does not know this model ({_said(error)}){self._hint}"
            ) from error

    def _ask(self, request: GenerationRequest, seed: int) -> str:
        """The body of the server's answer, after leaving out whatever options it refuses."""
        import openai

        accepted = self._refused.now
        refusals: list[openai.APIStatusError] = []
        while True:
            options = accepted.options(request.decoding, seed, request.verdict is not None)
            try:
                answer = self._client.chat.completions.with_raw_response.create(
                    model=self.name,
                    messages=[{"role": turn.role, "content": turn.content} for turn in request.messages],
                    extra_body={"chat_template_kwargs": self._options} if self._options else None,
                    **options,
                )
            except openai.APIStatusError as error:
                less = accepted.without(_body(error), options) if error.status_code in OF_OPTIONS else None
                if less is None:
                    # The first refusal is of what was asked for; the later ones are of our attempts to mend it.
                    raise (refusals or [error])[0] from error
                accepted = less
                refusals.append(error)
                continue
            if refusals:
                self._refused.learn(accepted, self.id, [_said(each) for each in refusals])
            return str(answer.text)


def _client(url: str, retries: int, timeout: float) -> Any:
    if importlib.util.find_spec("openai") is None:
        raise MissingDependencyError("openai", "openai", "an openai: model")
    import openai

    key = os.environ.get(KEY)
    if not key and url == OPENAI:
        raise ConfigError(f"OpenAI needs a key: set {KEY}, or name a server of your own, openai:NAME@URL")
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{KEY} holds characters that no key has, such as a line break: set it again")
    return openai.OpenAI(base_url=url, api_key=key or "none", max_retries=retries, timeout=timeout)


def _parted(model: str) -> tuple[str, str, str]:
    """Name, “@” and URL. A name may hold an “@” of its own, as a folder may; the one before the scheme is meant."""
    for scheme in ("@http://", "@https://"):
        name, at, rest = model.rpartition(scheme)
        if at:
            return name, "@", scheme[1:] + rest
    return model.partition("@")


def _is_address(url: str) -> bool:
    try:
        found = urlparse(url)
        return found.scheme in ("http", "https") and bool(found.hostname) and (found.port is None or found.port > 0)
    except ValueError:
        return False


def _place(url: str) -> str:
    """Host, port and path of an address, as an id has them: without a name and password, and without the usual /v1."""
    found = urlparse(url)
    return found.netloc.rpartition("@")[2] + found.path.rstrip("/").removesuffix("/v1")


def _body(error: Any) -> Any:
    """What the server said: JSON if it is that, or text."""
    return error.response.text if error.body is None else error.body


def _said(error: Any) -> str:
    return told(_body(error)) or str(error).strip().splitlines()[0]
