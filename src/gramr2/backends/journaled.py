"""A backend that keeps its answers in a journal, so that no answer is computed or paid for twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from gramr2.backends.base import (
    Backend,
    Completion,
    Enough,
    GenerationRequest,
    Patient,
    Score,
    ScoreRequest,
    generate_in_stages,
    stages,
)
from gramr2.backends.registry import former_id
from gramr2.backends.spread import SpreadBackend
from gramr2.backends.wrapped import WrappedBackend
from gramr2.journal import Journal, address
from gramr2.judgment import FinishReason


class JournaledBackend(WrappedBackend):
    """Looks in a journal before it asks a backend, and writes every answer as it arrives.

    A completion's key is a hash of the backend's id, the request and the seed; a score's, of the id and the request. A failed
    completion is not kept, so it is requested again. If one answer of a chunk is missing, the whole chunk is computed again
    (see ``Backend.chunk``), and the answers that were already in the journal stay as they are. Answers that an earlier version
    kept under its own id of the model are found too. A backend with several workers is given all chunks at once.
    """

    def __init__(self, backend: Backend, journal: Journal) -> None:
        super().__init__(backend)
        self.journal = journal
        self.failure: str | None = None
        """the last error, as long as no request has been answered, here or in the journal"""
        self.failed = 0
        """completions that failed, and are asked for again next time"""
        self._answered = False
        self._former = former_id(backend.id) if journal.unchecked else backend.id

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; within a chunk, what is in the journal comes first."""
        keys = [self._keys(request) for request in requests]
        for parts in self._together(len(requests)):
            known = {i: found for part in parts for i in part if len(found := self._known(keys[i])) == len(keys[i])}
            yield from known.items()
            if self.chunk:
                # Whole chunks, in their order: divided into chunks again, they are the same ones.
                asked = [i for part in parts if not known.keys() >= set(part) for i in part]
                wanted = [requests[i] for i in asked]
            else:
                asked = [i for part in parts for i in part if i not in known]
                wanted = [self._missing(requests[i], keys[i]) for i in asked]
            for place, completions in self.backend.generate(wanted) if wanted else ():
                index = asked[place]
                if index not in known:
                    fresh = dict(zip(wanted[place].seeds, completions, strict=True))
                    pairs = zip(requests[index].seeds, keys[index], strict=True)
                    yield index, [self._read(key) or self._kept(key, fresh[seed]) for seed, key in pairs]

    def generate_until(
        self, requests: Sequence[GenerationRequest], groups: Sequence[Sequence[int]], enough: Enough
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``gramr2.backends.base.generate_until``; a chunk ends where a group does."""
        if not self.chunk or not isinstance(self.backend, Patient):
            yield from generate_in_stages(self, requests, groups, enough)
            return
        keys = [self._keys(request) for request in requests]
        for numbers in self._chunks(groups):
            replayed = [self._replayed(number, groups[number], keys, enough) for number in numbers]
            known = {i: found for each in replayed for i, found in (each or {}).items()}
            yield from known.items()
            if all(each is not None for each in replayed):
                continue
            asked = [i for number in numbers for i in groups[number]]
            places = {i: place for place, i in enumerate(asked)}
            wanted = self.backend.generate_until(
                [requests[i] for i in asked],
                [[places[i] for i in groups[number]] for number in numbers],
                partial(_renumbered, enough, numbers),
            )
            for place, completions in wanted:
                index = asked[place]
                if index not in known:
                    pairs = zip(keys[index], completions, strict=False)  # fewer samples than seeds, if they were enough
                    yield index, [self._read(key) or self._kept(key, each) for key, each in pairs]

    def _chunks(self, groups: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Numbers of the groups that are computed together: as many as make a chunk."""
        part: list[int] = []
        size = 0
        for number, members in enumerate(groups):
            part, size = [*part, number], size + len(members)
            if size >= (self.chunk or 1):
                yield part
                part, size = [], 0
        if part:
            yield part

    def _replayed(
        self, number: int, members: Sequence[int], keys: Sequence[Sequence[str]], enough: Enough
    ) -> dict[int, list[Completion]] | None:
        """A group's completions as the journal has them; None if one is missing that would have been drawn."""
        found: list[list[Completion]] = [[] for _ in members]
        before = 0
        for upto in stages(len(keys[members[0]])):
            for i, completions in zip(members, found, strict=True):
                completions += self._known(keys[i][before:upto])
                if len(completions) < upto:
                    return None
            if enough(number, found):
                break
            before = upto
        return dict(zip(members, found, strict=True))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See ``Backend.score``."""
        keys = [self._key("score", asdict(request)) for request in requests]
        for parts in self._together(len(requests)):
            missing = {i for part in parts for i in part if _score(self.journal.read(keys[i])) is None}
            asked = [
                i for part in parts for i in part if (not missing.isdisjoint(part) if self.chunk else i in missing)
            ]
            for place, score in self._scored([requests[i] for i in asked]):
                key = keys[asked[place]]
                if _score(self.journal.read(key)) is None:
                    self.journal.write(key, asdict(score))
        kept = (_score(self.journal.read(key)) for key in keys)
        return [each for each in kept if each is not None]

    def _scored(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[int, Score]]:
        """Index and score of each text, as they come."""
        if isinstance(self.backend, SpreadBackend):
            yield from self.backend.scored(requests)
        elif requests:
            yield from enumerate(self.backend.score(requests))

    def _kept(self, key: str, completion: Completion) -> Completion:
        """Write a new answer, unless it failed, and return it."""
        if completion.finish_reason is not FinishReason.ERROR and completion.sound:
            self._answered, self.failure = True, None
            self.journal.write(key, asdict(completion))
            return completion
        self.failed += 1
        if not self._answered:
            self.failure = completion.error or "the model failed"
        return completion

    def _missing(self, request: GenerationRequest, keys: Sequence[str]) -> GenerationRequest:
        """The request for only those of its samples that are not in the journal."""
        pairs = zip(request.seeds, keys, strict=True)
        return replace(request, seeds=tuple(seed for seed, key in pairs if self._read(key) is None))

    def _known(self, keys: Sequence[str]) -> list[Completion]:
        """The completions that are in the journal."""
        return [found for key in keys if (found := self._read(key)) is not None]

    def _parts(self, count: int) -> Iterator[list[int]]:
        """The indices of the requests that are sent together."""
        size = self.chunk or count
        for start in range(0, count, max(1, size)):
            yield list(range(start, min(start + size, count)))

    def _together(self, count: int) -> Iterator[list[list[int]]]:
        """The chunks that the backend is given at a time."""
        parts = [*self._parts(count)]
        return iter([parts] if isinstance(self.backend, SpreadBackend) else [[part] for part in parts])

    def _read(self, key: str) -> Completion | None:
        record = self.journal.read(key)
        if record is None:
            return None
        try:
            values = {name: value for name, value in record.items() if name != "key"}
            # JSON has no infinity: the logarithm of a probability of 0 is null.
            if logs := values.get("label_logprobs"):
                values["label_logprobs"] = {k: -math.inf if v is None else v for k, v in logs.items()}
            found = Completion(**values | {"finish_reason": FinishReason(values["finish_reason"])})
        except (AttributeError, KeyError, ValueError, TypeError):
            return None
        if not found.sound:
            return None
        self._answered, self.failure = True, None
        return found

    def _keys(self, request: GenerationRequest) -> list[str]:
        content = asdict(replace(request, seeds=()))
        return [self._key(content, seed) for seed in request.seeds]

    def _key(self, *parts: Any) -> str:
        key = address(self.id, *parts)
        if self._former != self.id:
            self.journal.take(key, address(self._former, *parts))
        return key


def _renumbered(enough: Enough, numbers: Sequence[int], number: int, found: Sequence[Sequence[Completion]]) -> bool:
    return enough(numbers[number], found)


def _score(record: dict[str, Any] | None) -> Score | None:
    if record is None:
        return None
    try:
        return Score(record["logprob"], record["tokens"]) if math.isfinite(record["logprob"]) else None
    except (KeyError, TypeError):
        return None
