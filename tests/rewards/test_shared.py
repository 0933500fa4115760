"""A judge that many threads ask: batches, errors and order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from gramr2.comparison import Comparison, Label
from gramr2.errors import DataError, ModelError
from gramr2.judging.preference import Ties, decided
from gramr2.rewards.shared import SharedModel


class Counting:
    """Prefers the longer response, and keeps how many comparisons came at once."""

    id = "counting"

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.hold, self.asked = Event(), Event()
        self.inside = 0

    def compare(self, comparisons, seed=0):
        self.inside += 1
        assert self.inside == 1, "two threads use the model at once"
        self.asked.set()
        self.hold.wait(10)
        self.inside -= 1
        self.batches.append((len(comparisons), seed))
        if any("refused" in each.responses for each in comparisons):
            raise DataError("refused")
        margins = [len(each.responses[0]) - len(each.responses[1]) for each in comparisons]
        return decided(comparisons, margins, Ties())


def pair(i: int, a: str = "long answer", b: str = "short") -> Comparison:
    return Comparison.of(f"prompt {i}", a, b, id=str(i))


def ask(model: Counting, jobs: list[tuple[list[Comparison], int]]):
    """The first job alone, then all others while the model is at work on it."""
    shared = SharedModel(model)
    with ThreadPoolExecutor(len(jobs)) as threads:
        futures = [threads.submit(shared.compare, *jobs[0])]
        assert model.asked.wait(10)
        ready = Barrier(len(jobs))

        def late(job):
            ready.wait(10)
            return shared.compare(*job)

        futures += [threads.submit(late, job) for job in jobs[1:]]
        ready.wait(10)
        while len(shared._queue) < len(jobs) - 1:
            pass
        model.hold.set()
        return futures


def test_what_waits_is_one_batch_and_everybody_gets_his_own():
    model = Counting()
    jobs = [([pair(10 * j + i) for i in range(j)], 0) for j in range(1, 6)]
    jobs[3] = ([each.swap() for each in jobs[3][0]], 0)
    found = [each.result() for each in ask(model, jobs)]
    assert model.batches == [(1, 0), (2 + 3 + 4 + 5, 0)]
    assert [[each.id for each in decisions] for decisions in found] == [[c.id for c in job] for job, _ in jobs]
    assert {each.label for each in found[3]} == {Label.B}
    assert {each.label for decisions in found[:3] for each in decisions} == {Label.A}


def test_other_seeds_are_other_batches():
    model = Counting()
    for each in ask(model, [([pair(0)], 0), ([pair(1)], 1), ([pair(2)], 2), ([pair(3)], 1)]):
        assert len(each.result()) == 1
    assert sorted(model.batches) == [(1, 0), (1, 2), (2, 1)]


def test_an_error_is_that_of_the_one_who_asked():
    model = Counting()
    first, good, bad, other = ask(model, [([pair(0)], 0), ([pair(1)], 0), ([pair(2, "refused")], 0), ([pair(3)], 0)])
    with pytest.raises(DataError, match="refused"):
        bad.result()
    assert [len(each.result()) for each in (first, good, other)] == [1, 1, 1]


def test_who_waits_is_told_that_the_judging_was_stopped():
    class Stopped(Counting):
        def compare(self, comparisons, seed=0):
            if self.batches:
                raise KeyboardInterrupt
            return super().compare(comparisons, seed)

    first, *others = ask(Stopped(), [([pair(i)], 0) for i in range(4)])
    assert len(first.result()) == 1
    errors = [type(each.exception(timeout=10)) for each in others]
    assert errors.count(KeyboardInterrupt) == 1
    assert errors.count(ModelError) == 2


def test_too_few_decisions_are_an_error():
    class Lazy(Counting):
        def compare(self, comparisons, seed=0):
            return super().compare(comparisons, seed)[:-1]

    model = Lazy()
    model.hold.set()
    with pytest.raises(ModelError, match="gave 0 decisions for 1 comparisons"):
        SharedModel(model).compare([pair(0)])


def test_it_is_a_preference_model():
    shared = SharedModel(Counting())
    assert shared.id == "counting"
    shared.model.hold.set()
    assert [each.label for each in shared.compare([pair(0), pair(1).swap()])] == [Label.A, Label.B]
