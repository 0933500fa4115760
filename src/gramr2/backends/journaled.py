"""A backend that keeps what it was answered, so that no answer is paid for twice."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from gramr2.backends.base import Backend, Completion, GenerationRequest, Score, ScoreRequest
from gramr2.comparison import Message
from gramr2.journal import Journal, address
from gramr2.judgment import FinishReason


class JournaledBackend:
    """Looks into a journal before it asks a backend, and writes every completion as it comes.

    A completion's key is a hash of the backend's id, the request and the seed. A failed completion is not kept: it is to be
    tried again. Scores are not kept either.
    """

    def __init__(self, backend: Backend, journal: Journal) -> None:
        self.backend = backend
        self.journal = journal

    @property
    def id(self) -> str:
        """The backend's."""
        return self.backend.id

    @property
    def context_length(self) -> int:
        """The backend's."""
        return self.backend.context_length

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """The backend's."""
        return self.backend.count_tokens(messages, answer)

    def generate(
        self, requests: Sequence[GenerationRequest], known: Collection[int] = ()
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; what is in the journal comes first. A request is asked whole or not at all."""
        keys = [self._keys(request) for request in requests]
        skipped = set(known)
        for index, places in enumerate(keys):
            if index not in skipped and (found := self._kept(places)) is not None:
                skipped.add(index)
                yield index, found
        if len(skipped) == len(requests):
            return
        for index, completions in self.backend.generate(requests, skipped):
            if index in skipped:
                continue
            for key, completion in zip(keys[index], completions, strict=True):
                if completion.finish_reason is not FinishReason.ERROR:
                    self.journal.write(key, asdict(completion))
            yield index, completions

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """The backend's."""
        return self.backend.score(requests)

    def _keys(self, request: GenerationRequest) -> list[str]:
        content = asdict(replace(request, seeds=()))
        return [address(self.id, content, seed) for seed in request.seeds]

    def _kept(self, keys: Sequence[str]) -> list[Completion] | None:
        """The completions under these keys, if all are there."""
        found = [_completion(self.journal.read(key)) for key in keys]
        kept = [each for each in found if each is not None]
        return kept if len(kept) == len(found) else None


def _completion(record: dict[str, Any] | None) -> Completion | None:
    if record is None:
        return None
    try:
        values = {key: value for key, value in record.items() if key != "key"}
        return Completion(**values | {"finish_reason": FinishReason(values["finish_reason"])})
    except (KeyError, ValueError, TypeError):
        return None
