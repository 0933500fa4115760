"""A backend without a model: a plain function writes the answers.

Everything above ``Backend`` is tested with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from gramr2.backends.base import Completion, GenerationRequest, Score, ScoreRequest
from gramr2.comparison import Message
from gramr2.judgment import FinishReason

Script = Callable[[GenerationRequest, int], Completion | str]
"""Writes one sample for a request and a seed: a whole completion, or just its text."""


class ScriptedBackend:
    """Answers every request with ``script(request, seed)``; tokens are words."""

    chunk: int | None = None

    def __init__(self, script: Script, name: str = "scripted", context_length: int = 1 << 20) -> None:
        self._script = script
        self.id = name
        self.context_length = context_length
        self.requests: list[GenerationRequest] = []

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Number of words in the prompt and the answer."""
        return sum(len(turn.content.split()) for turn in messages) + len(answer.split())

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; in the order of the requests."""
        for index, request in enumerate(requests):
            self.requests.append(request)
            written = [self._script(request, seed) for seed in request.seeds]
            yield index, [c if isinstance(c, Completion) else Completion(c, FinishReason.STOP) for c in written]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """A word that occurs in the prompt has a probability of 1/10, any other of 1/1000."""
        return [_score(request) for request in requests]


def _score(request: ScoreRequest) -> Score:
    known = {word for turn in request.messages for word in turn.content.split()}
    words = request.text.split()
    return Score(sum(-math.log(10 if word in known else 1000) for word in words), len(words))
