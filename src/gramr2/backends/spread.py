"""A backend that spreads its requests over workers, each a process that holds the same model.

The unit of work is the chunk (see ``Backend.chunk``): the requests that a model in this process would compute together. An answer
therefore has the same digits whichever worker gives it, and however many there are. Nothing here knows how workers are started
or reached; that is a ``Crew``.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gramr2.backends.base import Backend, Completion, GenerationRequest, Score, ScoreRequest
from gramr2.comparison import Message
from gramr2.errors import MissingDependencyError, ModelError

log = logging.getLogger("gramr2")

UNIT = 32
"""requests sent to a worker at a time if its answers do not depend on their batch"""
TRIES = 3
"""workers that may die over the same chunk, or one after the other while they load the model, before the work is given up"""

Worker = Any
"""a worker, as its crew knows it"""
Ticket = Any
"""a call to a worker that is under way; hashable"""


class WorkerLostError(Exception):
    """A worker ended before it answered: it was killed, ran out of memory, or its machine is gone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a worker says of itself. Only ``place``, its machine, may differ between the workers of a crew."""

    id: str
    context_length: int
    chunk: int | None
    versions: str
    place: str

    def differs_from(self, other: Facts) -> str | None:
        """What this worker has and the other has not, in words."""
        for name in ("id", "context_length", "chunk", "versions"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"the worker on {self.place} has {name} {mine} and the one on {other.place} has {theirs}"
        return None


class Host:
    """What runs in a worker: a model, opened on first use, so that an error of opening is an answer and not a death."""

    def __init__(self, opened: Callable[[], Backend], versions: Callable[[], str], place: str) -> None:
        self._opened = opened
        self._versions = versions
        self._place = place
        self._backend: Backend | None = None

    def facts(self) -> Facts:
        """Loads the model."""
        model = self._model
        return Facts(model.id, model.context_length, model.chunk, self._versions(), self._place)

    def generate(self, requests: Sequence[GenerationRequest]) -> list[tuple[int, list[Completion]]]:
        """See ``Backend.generate``."""
        return list(self._model.generate(requests))

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[int, Score]]:
        """See ``Backend.score``; each with its index."""
        return list(enumerate(self._model.score(requests)))

    @property
    def _model(self) -> Backend:
        if self._backend is None:
            try:
                self._backend = self._opened()
            except MissingDependencyError as error:
                # Its message is made of parts, without which it does not arrive in another process.
                raise ModelError(str(error)) from None
        return self._backend


class Crew(Protocol):
    """Starts workers, each a ``Host`` in a process of its own, and calls them."""

    def start(self) -> Worker:
        """A new worker; it may have to wait for a place."""
        ...

    def send(self, worker: Worker, method: str, *given: Any) -> Ticket:
        """Call a method of the worker's host."""
        ...

    def finished(self, tickets: Sequence[Ticket]) -> Sequence[Ticket]:
        """Those that have finished; waits until one has, or for so long that it is worth a word: then none."""
        ...

    def result(self, ticket: Ticket) -> Any:
        """What a finished call returned.

        Raises:
            WorkerLostError: the worker ended before it answered.
            GramrError: what the host raised.
        """
        ...

    def stop(self, workers: Sequence[Worker]) -> None:
        """End the workers; when it returns, they hold no memory any more."""
        ...


class SpreadBackend:
    """A model that several workers hold. Workers are started at once; those that die are replaced, and their work is sent again.

    Args:
        crew: where workers come from.
        size: their number.
        count: ``Backend.count_tokens``, which needs no worker.

    Raises:
        ModelError: the workers have different models or versions, or die one after the other.
    """

    def __init__(self, crew: Crew, size: int, count: Callable[[tuple[Message, ...], str], int]) -> None:
        self._crew = crew
        self._size = size
        self._count = count
        self._workers: list[Worker] = []
        self._loading: dict[Ticket, Worker] = {}
        self._idle: list[Worker] = []
        self._facts: Facts | None = None
        self._failed = 0
        self._told = False
        self._fill()

    @property
    def facts(self) -> Facts:
        """What the workers have in common; waits for the first that has loaded the model."""
        while self._facts is None:
            self._look({})
        return self._facts

    @property
    def id(self) -> str:
        """The model's."""
        return self.facts.id

    @property
    def context_length(self) -> int:
        """The model's."""
        return self.facts.context_length

    @property
    def chunk(self) -> int | None:
        """The model's."""
        return self.facts.chunk

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Counted in this process."""
        return self._count(messages, answer)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``; chunk by chunk, in the order in which workers finish them."""
        yield from self._spread("generate", requests)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See ``Backend.score``."""
        found = dict(self.scored(requests))
        return [found[index] for index in range(len(requests))]

    def scored(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[int, Score]]:
        """Index and score of each text, as workers finish them."""
        yield from self._spread("score", requests)

    def close(self) -> None:
        """End the workers, and free what they hold; nothing can be asked any more."""
        self._size = 0
        workers, self._workers, self._idle, self._loading = self._workers, [], [], {}
        self._crew.stop(workers)

    def _spread(self, method: str, requests: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        # An earlier call may have been given up, and workers with it.
        self._fill()
        size = self.chunk or UNIT
        waiting = deque(range(0, len(requests), size))
        busy: dict[Ticket, tuple[Worker, int]] = {}
        lost: Counter[int] = Counter()
        try:
            while waiting or busy:
                while waiting and self._idle:
                    worker, start = self._idle.pop(), waiting.popleft()
                    busy[self._crew.send(worker, method, requests[start : start + size])] = (worker, start)
                for ticket in self._look(busy):
                    worker, start = busy[ticket]
                    try:
                        found = self._crew.result(ticket)
                    except WorkerLostError as error:
                        del busy[ticket]
                        lost[start] += 1
                        self._workers.remove(worker)
                        if lost[start] == TRIES:
                            raise _given_up(
                                f"over the same {min(size, len(requests) - start)} requests", error
                            ) from error
                        self._replace(error, f"{lost[start]} of {TRIES} over the same requests")
                        waiting.appendleft(start)
                        continue
                    del busy[ticket]
                    self._idle.append(worker)
                    yield from ((start + place, each) for place, each in found)
        finally:
            # Whatever ended this call, a worker that is still at work takes its next call when it is done.
            self._idle += [worker for worker, _ in busy.values()]

    def _look(self, busy: dict[Ticket, tuple[Worker, int]]) -> list[Ticket]:
        """Wait for something to finish; workers that have loaded the model become idle, and finished work is returned."""
        if not busy and not self._loading:
            raise ModelError("the model's workers have ended: open it again")
        done = self._crew.finished([*busy, *self._loading])
        if not done and not busy and not self._told:
            log.warning(
                "%d workers are still loading the model or waiting for a place in the cluster", len(self._loading)
            )
            self._told = True
        for ticket in done:
            if ticket in self._loading:
                self._welcome(ticket)
        return [ticket for ticket in done if ticket in busy]

    def _fill(self) -> None:
        while len(self._workers) < self._size:
            self._hire()

    def _hire(self) -> None:
        worker = self._crew.start()
        self._workers.append(worker)
        self._loading[self._crew.send(worker, "facts")] = worker

    def _replace(self, error: Exception, which: str) -> None:
        log.warning("a worker ended (%s; %s): another one takes its place", error, which)
        self._hire()

    def _welcome(self, ticket: Ticket) -> None:
        worker = self._loading.pop(ticket)
        try:
            facts: Facts = self._crew.result(ticket)
        except WorkerLostError as error:
            self._failed += 1
            self._workers.remove(worker)
            if self._failed == TRIES:
                self._failed = 0
                raise _given_up("while they loaded the model", error) from error
            self._replace(error, f"{self._failed} of {TRIES} in a row")
            return
        if self._facts is not None and (wrong := facts.differs_from(self._facts)):
            raise ModelError(f"{wrong}: all workers need the same model folder and the same versions of its libraries")
        self._facts, self._failed = self._facts or facts, 0
        self._idle.append(worker)


def _given_up(when: str, last: Exception) -> ModelError:
    return ModelError(
        f"{TRIES} workers ended {when} (the last: {last}): give a worker more memory, or have fewer of them on a machine"
    )
