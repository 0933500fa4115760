"""A judge whose comparisons wait in the server's queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Comparison, Order
from gramr2.errors import ConfigError
from gramr2.judging.aloud import judge_aloud
from gramr2.judging.judge import Judge
from gramr2.judgment import Decision
from gramr2.serving.errors import ClosedError, GoneError, LateError
from gramr2.serving.model import Model, Served
from gramr2.serving.visit import Visit


class QueuedJudge:
    """A judge for one request, a ``PreferenceModel``: its comparisons wait in the model's queue and share batches with those of
    other requests."""

    def __init__(self, model: Model, deadline: float, visit: Visit | None = None) -> None:
        if model.judge is None:
            raise ClosedError(
                "the model is still being loaded" if model.failure is None else f"no model: {model.failure}"
            )
        self.served: Served = model.judge
        self._model, self._visit = model, visit or Visit()
        self.deadline = deadline
        """on the clock of ``time.monotonic``"""

    @property
    def id(self) -> str:
        """That of the judge that is served."""
        return self.served.id

    @property
    def prompt(self) -> str:
        """Digest of the judge's prompt; empty for a reward model, whose prompt is in its id."""
        return self.served.template.hash if isinstance(self.served, Judge) else ""

    @property
    def writer(self) -> Judge:
        """The judge that is served, which writes its verdicts.

        Raises:
            ConfigError: it is a reward model.
        """
        if not isinstance(self.served, Judge):
            raise ConfigError(f"{self.id} gives rewards and writes no verdicts: ask /v1/judge, /v1/rank or /v1/score")
        return self.served

    def admit(self) -> None:
        """Raise what the request would get now. Raises as ``Model.compare`` does."""
        self._model.admit(self._visit.size)
        self._remaining()

    @contextmanager
    def turn(self, lock: threading.Lock) -> Iterator[None]:
        """Hold a lock, but wait for it no longer than the request has. Raises LateError and GoneError."""
        if not lock.acquire(timeout=self._remaining()):
            raise LateError
        try:
            self._remaining()
            yield
        finally:
            lock.release()

    def alone(self, task: Callable[[Served], Any], works: Sequence[int]) -> Any:
        """See ``Model.alone``."""
        return self._model.alone(task, works, self.deadline, self._visit)

    def begin(self, asked: GenerationRequest, work: int, heard: Callable[[int, str], None]) -> Future[list[Completion]]:
        """See ``Model.begin``."""
        return self._model.begin(asked, work, self.deadline, self._visit, heard)

    def begin_aloud(
        self, comparison: Comparison, seed: int, work: int, heard: Callable[[Order, int, str], None]
    ) -> Future[Decision]:
        """A comparison's decision, not waited for, while what its votes write is told: see ``judge_aloud``.

        Args:
            work: characters of the comparison.

        Raises as ``Model.begin_alone`` and ``writer`` do.
        """
        _ = self.writer  # else the model's thread would find out

        def told(order: Order, sample: int, text: str) -> None:
            self._remaining()  # else nobody waits any longer
            heard(order, sample, text)

        def task(served: Served) -> Decision:
            assert isinstance(served, Judge)
            return judge_aloud(served, comparison, seed, told)

        return self._model.begin_alone(task, [work], self.deadline, self._visit)

    def complete(self, asked: GenerationRequest, work: int) -> list[Completion]:
        """See ``Model.complete``."""
        return self._model.complete(asked, work, self.deadline, self._visit)

    @property
    def batch(self) -> int:
        """See ``Model.batch``."""
        return self._model.batch

    def _remaining(self) -> float:
        if self._visit.gone:
            raise GoneError
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise LateError
        return left

    def compare(
        self, comparisons: Sequence[Comparison], seed: int = 0, progress: Callable[[int], None] | None = None
    ) -> list[Decision]:
        """See ``PreferenceModel``. Raises as ``Model.compare`` does, which also tells what ``progress`` is."""
        return self._model.compare(comparisons, seed, self.deadline, self._visit, progress)
