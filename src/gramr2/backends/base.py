"""The one seam between gramr2 and models.

Everything above this file is written against ``Backend`` and tested with the scripted one; a new engine (vLLM, an
OpenAI-compatible server) is a new class that implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, runtime_checkable

from gramr2.comparison import Message
from gramr2.judgment import FinishReason


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are sampled. ``temperature`` 0 is greedy; ``max_new_tokens`` limits what the model itself writes."""

    temperature: float = 0.75
    top_p: float = 1.0
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class VerdictReading:
    """Where in a completion the label is, and whether the backend guides the model to it.

    The label directly follows ``anchor``. If guided, the backend writes ``bridge`` (which ends in ``anchor``) as soon as
    the model has closed its rationale with ``close``, and samples among ``labels`` only: the format cannot go wrong and
    costs no tokens. With ``close_on_budget``, a rationale that has used up its budget or stopped early is closed as well.
    """

    labels: tuple[str, ...] = ("A", "B", "tie")
    anchor: str = "<answer>"
    end: str = "</answer>"
    close: str = "</think>"
    bridge: str = "\n<answer>"
    guided: bool = True
    close_on_budget: bool = False


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One prompt, and one sample for each of the ``seeds``.

    ``prefill`` is the start of the answer, which the model is given. ``written`` holds further given pieces, whose ends
    are token boundaries, as in training.
    """

    messages: tuple[Message, ...]
    seeds: tuple[int, ...]
    decoding: Decoding = field(default_factory=Decoding)
    prefill: str = ""
    stop: tuple[str, ...] = ()
    verdict: VerdictReading | None = None
    written: tuple[str, ...] = ()

    @property
    def given(self) -> str:
        """The whole part of the answer that the model is given."""
        return self.prefill + "".join(self.written)


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample. ``text`` includes the given part of the answer and anything the backend wrote on the model's behalf.

    ``label_logprobs`` are natural-log probabilities at temperature 1, normalised over the request's labels, at the
    position of the verdict; None if no verdict was reached or the engine returns none.
    """

    text: str
    finish_reason: FinishReason
    label_logprobs: dict[str, float] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None

    @property
    def sound(self) -> bool:
        """Whether ``label_logprobs``, where there are any, are log-probabilities: no NaN, none above 0 but for rounding."""
        return all(value < 1e-3 for value in (self.label_logprobs or {}).values())


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A text to be scored as the answer to ``messages``."""

    messages: tuple[Message, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """The summed natural-log probability of a text and the number of tokens it has."""

    logprob: float
    tokens: int


Enough = Callable[[int, Sequence[Sequence[Completion]]], bool]
"""Called with a group of requests, by its number, and the samples of each so far: whether they suffice. It must depend on nothing
else, as it may be called again with the same samples."""


def stages(samples: int) -> list[int]:
    """After how many samples of a request it is asked whether they suffice: 2, 4, 8 …, and all."""
    return [*(2**power for power in range(1, max(1, samples).bit_length()) if 2**power < samples), samples]


class Backend(Protocol):
    """A model that completes and scores."""

    @property
    def id(self) -> str:
        """Identifies the exact weights: the same id must mean the same outputs for the same request."""
        ...

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of tokens of a prompt (with the chat template around it) followed by an answer."""
        ...

    @property
    def context_length(self) -> int:
        """The most tokens a prompt and its completion may have together."""
        ...

    @property
    def chunk(self) -> int | None:
        """How many requests to send at a time, always the same ones together; None if an answer does not depend on its batch.

        The tokens of an answer never do, but for a model in this process the last digits of a probability depend on the
        shapes of the matrices. ``JournaledBackend`` repeats whole chunks, so that a resumed run ends with the same bytes.
        """
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """Complete every request; yields (index of the request, one completion per seed) in any order, as they finish."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Log-probability of each text given its messages, in the order of the requests."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A backend that keeps a prompt until it is known how many samples of it are needed."""

    def generate_until(
        self, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``generate_until``."""
        ...


def generate_until(
    backend: Backend, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
) -> Iterator[tuple[int, list[Completion]]]:
    """Draw the first 2, 4, 8 … samples of each request, and stop where ``enough`` says so.

    Args:
        backend: if it is not ``Patient``, every stage computes its prompts anew.
        requests: with the seeds of all samples that may be drawn; those of a group have as many.
        groups: requests that are decided together, by their indices; each request is in one.
        enough: see ``Enough``.

    Yields:
        (index of a request, its completions so far), once they are enough or all; groups in any order.
    """
    ask = backend.generate_until if isinstance(backend, Patient) else partial(generate_in_stages, backend)
    yield from ask(requests, groups, enough)


def generate_in_stages(
    backend: Backend, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
) -> Iterator[tuple[int, list[Completion]]]:
    """``generate_until`` by one call of ``generate`` for each stage of all groups."""
    found: list[list[Completion]] = [[] for _ in requests]
    left, before = [*range(len(groups))], 0
    for upto in stages(max((len(each.seeds) for each in requests), default=0)):
        asked = [i for number in left for i in groups[number] if before < len(requests[i].seeds)]
        if not asked:
            break
        parts = [replace(requests[i], seeds=requests[i].seeds[before:upto]) for i in asked]
        for place, completions in backend.generate(parts):
            found[asked[place]] += completions
        ended = [
            number
            for number in left
            if upto >= len(requests[groups[number][0]].seeds) or enough(number, [found[i] for i in groups[number]])
        ]
        for number in ended:
            yield from ((i, found[i]) for i in groups[number])
        left, before = [each for each in left if each not in {*ended}], upto
