"""The one thread that owns the model: it takes waiting comparisons, of all requests together, and judges them in batches.

Comparisons are judged in the order in which they would be done if every request had the machine to itself (fair queueing;
Demers, Keshav and Shenker 1989): a small request never waits for the rest of a large one, and nothing waits for ever. A request
is refused at once if too much would be judged before it, one that is past its deadline is not computed further, one whose client
has hung up leaves the queue, and an accepted one is answered even while the server shuts down.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import accumulate
from typing import Any

from gramr2.backends.aloud import generate_aloud
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Comparison
from gramr2.judging.judge import Judge
from gramr2.judging.scalar import ScalarJudge
from gramr2.judgment import Decision
from gramr2.serving.costs import Costs
from gramr2.serving.errors import BusyError, ClosedError, GoneError, LateError
from gramr2.serving.visit import Visit

Served = Judge | ScalarJudge
"""what a server can have"""
FRAME = 400
"""characters that the judge's own prompt is taken for, beside the texts of a comparison"""
SHARING = 8 * FRAME
"""characters that a batch may always have: what its prompts begin with is computed once a batch, so tiny ones would be a waste"""
LONGER = 4
"""times the fixed part of a batch (``Costs.fixed``) that one may take beyond its first comparison: together all wait less"""


@dataclass(eq=False)
class _Job:
    """Comparisons of one request, a ``task`` that needs the model to itself, or a prompt to be ``asked``; ``works`` are the
    characters of each."""

    size: int
    deadline: float
    works: Sequence[int]
    comparisons: Sequence[Comparison] = ()
    seed: int = 0
    task: Callable[[Served], Any] | None = None
    asked: GenerationRequest | None = None
    heard: Callable[[int, str], None] | None = None
    """told a sample of what is ``asked``, by its number, and its text so far"""
    progress: Callable[[int], None] | None = None
    """told how many comparisons are judged"""
    found: list[Decision] = field(default_factory=list)
    future: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    ends: list[int] = field(init=False)
    """characters that are judged when a comparison is, for each"""

    def __post_init__(self) -> None:
        self.ends = [*accumulate(self.works)]

    @property
    def left(self) -> int:
        """Comparisons that are not judged yet."""
        return self.size - len(self.found)

    def end(self, result: Any = None, error: Exception | None = None) -> None:
        """Set the result or the error; the one who waits may have been told already that the client has hung up."""
        with suppress(InvalidStateError):
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)


class Model:
    """Loads a judge in its own thread and answers jobs there.

    Args:
        load: creates the judge.
        capacity: a request is accepted while fewer comparisons would be judged before its last one.
        batch: most comparisons judged together; a larger request is judged in several batches, with others in between.
        turn: seconds that a batch should not exceed, so that the next request need not wait longer, or, with
            a slower model, the limit of ``Costs.limit``.
        gather: seconds to wait for more comparisons when there is less than a batch.
        on_batch: called with (comparisons, seconds) for every batch.
        on_failure: called when the judge cannot be loaded or the thread ends with an error, which is then in ``failure``.
    """

    def __init__(
        self,
        load: Callable[[], Served],
        *,
        capacity: int = 512,
        batch: int = 32,
        turn: float = 0.2,
        gather: float = 0.01,
        on_batch: Callable[[int, float], None] | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._load, self._capacity, self._batch, self._turn, self._gather = load, capacity, batch, turn, gather
        self._on_batch = on_batch or (lambda size, seconds: None)
        self._on_failure = on_failure or (lambda: None)
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._costs = Costs()
        self.judge: Served | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gramr2-model", daemon=True)

    def start(self) -> None:
        """Start the thread, which loads the judge."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and accepts work."""
        return self.judge is not None and not self._closing and self.failure is None

    @property
    def waiting(self) -> int:
        """Comparisons in the queue."""
        with self._changed:
            return sum(job.left for job in self._jobs)

    def close(self, timeout: float | None = None) -> None:
        """Accept no more work, finish accepted jobs, and end; jobs not finished in time, or without a model, get an error."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self.judge is not None:
            self._thread.join(timeout)
        self._drop(ClosedError("the server is shutting down"))

    @property
    def batch(self) -> int:
        """Comparisons judged together."""
        return self._batch

    def admit(self, work: int = 0) -> None:
        """Raise what a request of about so many characters would get now, before anything is done for it.

        Raises:
            BusyError: there is no room in the queue.
            ClosedError: the server is shutting down, or has no model.
        """
        with self._changed:
            self._admit(time.monotonic(), work)

    def compare(
        self,
        comparisons: Sequence[Comparison],
        seed: int,
        deadline: float,
        visit: Visit | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Decision]:
        """Decisions, judged together with whatever else is waiting.

        Args:
            deadline: on the clock of ``time.monotonic``.
            visit: the request that they belong to; when its client hangs up, they leave the queue.
            progress: called in the model's thread with the number of comparisons that are judged, after each batch.

        Raises:
            BusyError: there is no room in the queue.
            LateError: not done by the deadline.
            GoneError: the client has hung up.
            ClosedError: the server is shutting down, or has no model.
        """
        if not comparisons:
            return []
        works = [FRAME + len(each.prompt_text) + sum(map(len, each.responses)) for each in comparisons]
        job = _Job(len(comparisons), deadline, works, comparisons, seed, progress=progress)
        found: list[Decision] = self._await(job, visit)
        return found

    def alone(
        self, task: Callable[[Served], Any], works: Sequence[int], deadline: float, visit: Visit | None = None
    ) -> Any:
        """The result of calling ``task`` with the judge while nothing else uses it. Raises as ``compare`` does.

        Args:
            works: characters of each item that it works on.
        """
        return self._await(_Job(len(works), deadline, [FRAME + each for each in works], task=task), visit)

    def begin_alone(
        self, task: Callable[[Served], Any], works: Sequence[int], deadline: float, visit: Visit | None = None
    ) -> Future[Any]:
        """What ``alone`` does, but it is not waited for: see ``begin``."""
        return self._enter(_Job(len(works), deadline, [FRAME + each for each in works], task=task), visit)

    def begin(
        self,
        asked: GenerationRequest,
        work: int,
        deadline: float,
        visit: Visit | None = None,
        heard: Callable[[int, str], None] | None = None,
    ) -> Future[list[Completion]]:
        """Have a prompt completed, together with others that wait. It is not waited for.

        Args:
            work: characters of the prompt, once for each sample.
            heard: called in the model's thread with a sample's number and its text so far.

        Raises as ``compare`` does; what happens later is in the future.
        """
        return self._enter(_Job(1, deadline, [FRAME + work], asked=asked, heard=heard), visit)

    def complete(
        self, asked: GenerationRequest, work: int, deadline: float, visit: Visit | None = None
    ) -> list[Completion]:
        """What ``begin`` begins, once it is done. Raises as ``compare`` does."""
        found: list[Completion] = self._await(_Job(1, deadline, [FRAME + work], asked=asked), visit)
        return found

    def _admit(self, arrived: float, work: int) -> None:
        if self._closing or self.failure is not None:
            raise ClosedError("the server is shutting down" if self.failure is None else f"no model: {self.failure}")
        count, before = self._before(arrived + self._costs.pace * work)
        if count >= self._capacity:
            raise BusyError(max(1.0, before * self._costs.pace))

    def _before(self, due: float) -> tuple[int, int]:
        """Comparisons that are to be done by then, and their characters."""
        count = total = 0
        for job in self._jobs:
            for place in range(len(job.found), job.size):
                if job.task is None and self._due(job, place) > due:
                    break
                count, total = count + 1, total + job.works[place]
        return count, total

    def _due(self, job: _Job, place: int) -> float:
        """When a comparison of a job would be done if the job had the machine to itself; a task is done as a whole."""
        return job.arrived + self._costs.pace * job.ends[-1 if job.task is not None else place]

    def _leave(self, job: _Job) -> None:
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
        job.end(error=GoneError())

    def _enter(self, job: _Job, visit: Visit | None) -> Future[Any]:
        with self._changed:
            self._admit(job.arrived, job.ends[-1])
            if time.monotonic() >= job.deadline:
                raise LateError
            self._jobs.append(job)
            self._changed.notify_all()
        if visit is not None:
            visit.on_leave(lambda: self._leave(job))
        return job.future

    def _await(self, job: _Job, visit: Visit | None) -> Any:
        self._enter(job, visit)
        try:
            return job.future.result(max(0.0, job.deadline - time.monotonic()))
        except TimeoutError:
            if job.future.done():
                raise
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)
            job.end(error=LateError())  # so that nothing more is written for it
            raise LateError from None

    def _run(self) -> None:
        try:
            self.judge = self._load()
            while (parts := self._next()) is not None:
                started = time.monotonic()
                work = sum(sum(job.works[len(job.found) : len(job.found) + count]) for job, count in parts)
                self._do(parts)
                size, seconds = sum(count for _, count in parts), time.monotonic() - started
                self._costs.observe(work, seconds)
                self._on_batch(size, seconds)
        except BaseException as error:  # noqa: BLE001  # whatever ends this thread must reach the requests that wait
            self.failure = error
            self._drop(ClosedError(f"no model: {error}"))
            self._on_failure()

    def _drop(self, error: ClosedError) -> None:
        with self._changed:
            jobs = [*self._jobs]
            self._jobs.clear()
        for job in jobs:
            job.end(error=error)

    def _next(self) -> list[tuple[_Job, int]] | None:
        """Jobs, and how many comparisons of each to judge now; None when nothing is left and no more will come."""
        with self._changed:
            while True:
                while not self._jobs:
                    if self._closing:
                        return None
                    self._changed.wait()
                if self._jobs[0].task is None and not self._closing and self._gather:
                    self._changed.wait_for(lambda: self._closing or self._full(), self._gather)
                late = [job for job in self._jobs if time.monotonic() >= job.deadline]
                for job in late:
                    self._jobs.remove(job)
                    job.end(error=LateError())
                parts = self._parts()
                for job, count in parts:
                    if count == job.left:
                        self._jobs.remove(job)
                if parts:
                    return parts

    def _full(self) -> bool:
        return sum(count for _, count in self._parts()) >= self._batch

    def _parts(self) -> list[tuple[_Job, int]]:
        """The next batch: a task by itself, or what is due first: prompts, or comparisons, with the same seed if it matters."""
        counts: dict[_Job, int] = {}
        taken, work, allowed = 0, 0, self._turn
        anyhow = self.judge is not None and not self.judge.draws
        heap = [(self._due(job, len(job.found)), number, job) for number, job in enumerate(self._jobs)]
        heapify(heap)
        while heap and taken < self._batch:
            _, number, job = heappop(heap)
            first = next(iter(counts), None)
            if job.task is not None:
                if first is None:
                    return [(job, job.size)]
                continue
            if first is not None and (job.asked is None) != (first.asked is None):
                continue
            if first is not None and job.asked is None and not anyhow and job.seed != first.seed:
                continue
            at = len(job.found) + counts.get(job, 0)
            total = work + job.works[at]
            if not taken:
                allowed = max(self._turn, self._costs.limit(total, LONGER))
            elif total > SHARING and self._costs.seconds(total) > allowed:
                break
            counts[job] = counts.get(job, 0) + 1
            taken, work = taken + 1, total
            if at + 1 < job.size:
                heappush(heap, (self._due(job, at + 1), number, job))
        return [*counts.items()]

    def _do(self, parts: Sequence[tuple[_Job, int]]) -> None:
        assert self.judge is not None
        first = parts[0][0]
        try:
            if first.task is not None:
                first.end(first.task(self.judge))
                return
            if first.asked is not None:
                self._write([job for job, _ in parts])
                return
            asked = [each for job, count in parts for each in job.comparisons[len(job.found) : len(job.found) + count]]
            decisions = iter(self.judge.compare(asked, first.seed))  # another seed only where it does not matter
        except Exception as error:  # noqa: BLE001  # one request's error must not end the thread that serves all
            if len(parts) > 1:
                for part in parts:
                    self._do([part])
                return
            with self._changed:
                if first in self._jobs:
                    self._jobs.remove(first)
            first.end(error=error)
            return
        for job, count in parts:
            with self._changed:
                job.found += [next(decisions) for _ in range(count)]
            if job.progress is not None:
                job.progress(len(job.found))
            if not job.left:
                job.end(job.found)

    def _write(self, jobs: Sequence[_Job]) -> None:
        """Complete the prompts of jobs that somebody still waits for."""
        assert isinstance(self.judge, Judge)  # nothing is written by a reward model: see QueuedJudge.writer
        wanted = [(job, job.asked) for job in jobs if job.asked is not None and not job.future.done()]
        if not wanted:
            return

        def heard(place: int, sample: int, text: Callable[[], str]) -> None:
            if all(job.future.done() for job, _ in wanted):
                raise GoneError
            job, _ = wanted[place]
            if job.heard is not None:
                job.heard(sample, text())

        for place, completions in generate_aloud(self.judge.backend, [asked for _, asked in wanted], heard):
            wanted[place][0].end(completions)
