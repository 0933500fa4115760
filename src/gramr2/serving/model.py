"""The one thread that has the model: it takes what waits, from whichever requests, and judges it in batches.

Requests wait in a queue of bounded size. What cannot get in is refused at once, what is too late is not computed, and what was
accepted is answered even while the server shuts down.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from gramr2.comparison import Comparison
from gramr2.errors import GramrError
from gramr2.judging.judge import Judge, JudgmentStore, Progress
from gramr2.judgment import Decision


class BusyError(GramrError):
    """The queue is full; ``retry_after`` seconds from now there should be room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full: try again later")
        self.retry_after = retry_after


class LateError(GramrError):
    """The deadline passed before there was an answer."""


class ClosedError(GramrError):
    """The server is shutting down, or its model could not be loaded."""


@dataclass
class _Job:
    """Comparisons of one request, or (``task``) something that needs the model to itself."""

    size: int
    deadline: float
    comparisons: Sequence[Comparison] = ()
    seed: int = 0
    task: Callable[[Judge], Any] | None = None
    future: Future[Any] = field(default_factory=Future)


class Model:
    """Loads a judge in its own thread and answers jobs there.

    Args:
        load: makes the judge.
        capacity: comparisons that may wait.
        batch: comparisons judged together; a request with more is judged whole.
        gather: seconds to wait for company when less than a batch is there.
        on_batch: told (comparisons, seconds) of every batch.
    """

    def __init__(
        self,
        load: Callable[[], Judge],
        *,
        capacity: int = 512,
        batch: int = 32,
        gather: float = 0.01,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        self._load, self._capacity, self._batch, self._gather = load, capacity, batch, gather
        self._on_batch = on_batch or (lambda size, seconds: None)
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._pace = 0.1
        self.judge: Judge | None = None
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="gramr2-model", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and takes work."""
        return self.judge is not None and not self._closing

    @property
    def waiting(self) -> int:
        """Comparisons in the queue."""
        with self._changed:
            return sum(job.size for job in self._jobs)

    def close(self, timeout: float | None = None) -> None:
        """Take no more work, finish what was accepted, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def compare(self, comparisons: Sequence[Comparison], seed: int, deadline: float) -> list[Decision]:
        """Decisions, judged together with what else waits.

        Args:
            deadline: of ``time.monotonic``.

        Raises:
            BusyError: there is no room in the queue.
            LateError: not done by the deadline.
            ClosedError: shutting down.
        """
        if not comparisons:
            return []
        found: list[Decision] = self._await(_Job(len(comparisons), deadline, comparisons, seed))
        return found

    def alone(self, task: Callable[[Judge], Any], size: int, deadline: float) -> Any:
        """What a function makes of the judge while nobody else uses it. Raises as ``compare`` does."""
        return self._await(_Job(size, deadline, task=task))

    def _await(self, job: _Job) -> Any:
        with self._changed:
            if self._closing or self.failure is not None:
                raise ClosedError(
                    "the server is shutting down" if self.failure is None else f"no model: {self.failure}"
                )
            waiting = sum(each.size for each in self._jobs)
            if self._jobs and waiting + job.size > self._capacity:
                raise BusyError(max(1.0, waiting * self._pace))
            self._jobs.append(job)
            self._changed.notify_all()
        try:
            return job.future.result(max(0.0, job.deadline - time.monotonic()))
        except TimeoutError as error:
            job.future.cancel()
            raise LateError("the deadline passed before there was an answer") from error

    def _run(self) -> None:
        try:
            self.judge = self._load()
        except Exception as error:  # noqa: BLE001  # whatever a model's files bring up, those who wait must be told
            self.failure = error
        while (jobs := self._next()) is not None:
            live = [job for job in jobs if self._begins(job)]
            if live:
                started = time.monotonic()
                self._do(live)
                size, seconds = sum(job.size for job in live), time.monotonic() - started
                self._pace = 0.8 * self._pace + 0.2 * seconds / size
                self._on_batch(size, seconds)

    def _begins(self, job: _Job) -> bool:
        if not job.future.set_running_or_notify_cancel():
            return False
        if self.failure is not None:
            job.future.set_exception(ClosedError(f"no model: {self.failure}"))
        elif time.monotonic() >= job.deadline:
            job.future.set_exception(LateError("the deadline passed before there was an answer"))
        return not job.future.done()

    def _next(self) -> list[_Job] | None:
        """The next jobs to do together; None when there is nothing left and no more will come."""
        with self._changed:
            while not self._jobs:
                if self._closing:
                    return None
                self._changed.wait()
            first = self._jobs[0]
            if first.task is None and not self._closing and self._gather:
                self._changed.wait_for(lambda: self._closing or self._fits(first)[1], self._gather)
            chosen, _ = self._fits(first)
            for job in chosen:
                self._jobs.remove(job)
            return chosen

    def _fits(self, first: _Job) -> tuple[list[_Job], bool]:
        """The jobs that go with the first one, and whether the batch is full."""
        if first.task is not None:
            return [first], True
        chosen, size = [first], first.size
        for job in self._jobs:
            if job is not first and job.task is None and job.seed == first.seed and size + job.size <= self._batch:
                chosen.append(job)
                size += job.size
        return chosen, size >= self._batch

    def _do(self, jobs: Sequence[_Job]) -> None:
        assert self.judge is not None
        try:
            if jobs[0].task is not None:
                jobs[0].future.set_result(jobs[0].task(self.judge))
                return
            decisions = self.judge.judge([each for job in jobs for each in job.comparisons], seed=jobs[0].seed)
        except Exception as error:  # noqa: BLE001  # one request's trouble must not end the thread that serves all
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            for job in jobs:
                self._do([job])
            return
        place = 0
        for job in jobs:
            job.future.set_result(decisions[place : place + job.size])
            place += job.size


class QueuedJudge(Judge):
    """A judge for one request: what it is asked waits in the model's queue, and shares batches with other requests."""

    def __init__(self, model: Model, deadline: float) -> None:
        if model.judge is None:
            raise ClosedError(
                "the model is still being loaded" if model.failure is None else f"no model: {model.failure}"
            )
        super().__init__(model.judge.backend, model.judge.template, model.judge.sampling)
        self._model, self._deadline = model, deadline

    def judge(
        self,
        comparisons: Sequence[Comparison],
        *,
        seed: int = 0,
        store: JudgmentStore | None = None,
        progress: Progress | None = None,
        on_decision: Callable[[int, Decision], None] | None = None,
        first: int = 0,
    ) -> list[Decision]:
        """See ``Judge.judge``; nothing is stored or reported here."""
        return self._model.compare(comparisons, seed, self._deadline)
