"""The model's thread: company in batches, bounds, deadlines, one request's trouble, and an end that loses nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label
from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import Decision
from gramr2.serving.errors import BusyError, ClosedError, LateError
from gramr2.serving.model import Model
from gramr2.serving.queued import QueuedJudge

ONCE = Sampling(votes=1, temperature=0)
DRAWN = Sampling(votes=1, temperature=1)


def queued(pool: ThreadPoolExecutor, model: Model) -> Future[list[Decision]]:
    """A comparison that waits in the model's queue."""
    waiting = pool.submit(model.compare, [make("0")], 0, later())
    while not model.waiting:
        time.sleep(0.005)
    return waiting


def later(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


class Held:
    """A judge that waits to be let go, prefers the longer response, and counts its batches."""

    def __init__(self) -> None:
        self.go, self.entered = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.prompts: list[str] = []
        judge = Judge(ScriptedBackend(self._answer), sampling=ONCE)
        self.model = Model(lambda: judge, capacity=8, batch=6, turn=60.0, gather=0.0)
        self.draw = lambda: setattr(judge, "sampling", DRAWN)
        self.model._on_batch = lambda size, seconds: self.batches.append(size)
        self.model.start()

    def _answer(self, request: GenerationRequest, seed: int) -> Completion | str:
        self.entered.set()
        assert self.go.wait(20)
        prompt, a, b = extract(request.messages)
        self.prompts.append(prompt)
        if "poison" in (a, b):
            raise DataError("this one is poison")
        return verdict_text(Label.A if len(a) > len(b) else Label.B)


@pytest.fixture
def held():
    each = Held()
    yield each
    each.go.set()
    each.model.close(10)


def test_requests_share_batches_and_each_gets_its_own_answers(held: Held) -> None:
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(10)
        asked = [[make(f"{i}a", "x" * i, "xx"), make(f"{i}b", "x", "y" * i)] for i in range(3, 6)]
        others = [pool.submit(held.model.compare, each, 0, later()) for each in asked]
        while held.model.waiting < 6:
            time.sleep(0.005)
        held.go.set()
        assert [each.label for each in first.result()] == ["B"]
        for comparisons, found in zip(asked, others, strict=True):
            assert [each.id for each in found.result()] == [each.id for each in comparisons]
            assert [each.label for each in found.result()] == ["A", "B"]
    held.model.close(10)
    assert held.batches == [1, 6]


def test_other_seeds_are_other_batches_where_tokens_are_drawn(held: Held) -> None:
    held.draw()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(held.model.compare, [make("0")], 0, later())]
        assert held.entered.wait(10)
        futures += [pool.submit(held.model.compare, [make(str(seed))], seed, later()) for seed in (1, 2)]
        while held.model.waiting < 2:
            time.sleep(0.005)
        held.go.set()
        assert [len(each.result()) for each in futures] == [1, 1, 1]
    held.model.close(10)
    assert held.batches == [1, 1, 1]


def test_a_full_queue_refuses_and_what_is_late_is_not_computed(held: Held) -> None:
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(10)
        late = [pool.submit(held.model.compare, [make(str(i))], 0, later(1.0)) for i in range(8)]
        until = later(10)
        while held.model.waiting < 8 and time.monotonic() < until:
            time.sleep(0.005)
        with pytest.raises(BusyError) as refused:
            held.model.compare([make("9")], 0, later())
        assert refused.value.retry_after >= 1
        for each in late:
            with pytest.raises(LateError):
                each.result()
        assert held.model.waiting == 0  # what nobody waits for takes no room
        held.go.set()
        assert len(first.result()) == 1
    held.model.close(10)
    assert held.batches == [1]


def test_one_requests_trouble_is_its_own(held: Held) -> None:
    with ThreadPoolExecutor(8) as pool:
        pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(10)
        bad = pool.submit(held.model.compare, [make("bad", "poison", "x")], 0, later())
        good = pool.submit(held.model.compare, [make("good", "xx", "x")], 0, later())
        while held.model.waiting < 2:
            time.sleep(0.005)
        held.go.set()
        with pytest.raises(DataError, match="poison"):
            bad.result()
        assert good.result()[0].label == "A"


def test_an_end_finishes_what_was_accepted_and_takes_no_more(held: Held) -> None:
    held.draw()  # each seed is a batch of its own
    with ThreadPoolExecutor(8) as pool:
        accepted = [pool.submit(held.model.compare, [make(str(i))], i, later()) for i in range(3)]
        assert held.entered.wait(10)
        while held.model.waiting < 2:
            time.sleep(0.005)
        ending = pool.submit(held.model.close, 20)
        while held.model.ready:
            time.sleep(0.005)
        with pytest.raises(ClosedError, match="shutting down"):
            held.model.compare([make("9")], 0, later())
        held.go.set()
        ending.result()
        assert [len(each.result()) for each in accepted] == [1, 1, 1]


def test_a_large_request_is_judged_in_several_goes(held: Held) -> None:
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(10)
        large = pool.submit(held.model.compare, [make(str(i), "x" * (i % 3), "x") for i in range(14)], 0, later())
        while held.model.waiting < 14:
            time.sleep(0.005)
        held.go.set()
        assert len(first.result()) == 1
        assert [each.id for each in large.result()] == [str(i) for i in range(14)]
        assert [each.label for each in large.result()] == [("B", "tie", "A")[i % 3] for i in range(14)]
    held.model.close(10)
    assert held.batches == [1, 6, 6, 2]


def test_a_small_request_does_not_wait_for_the_rest_of_large_ones(held: Held) -> None:
    def ask(pool: ThreadPoolExecutor, name: str, size: int, seed: int) -> Future[list[Decision]]:
        return pool.submit(held.model.compare, [make(f"{name}{i}") for i in range(size)], seed, later())

    with ThreadPoolExecutor(2) as pool:
        large = ask(pool, "large", 7, 0)
        assert held.entered.wait(20)
        # What comes while the first part of the large one is judged stands behind its second part.
        small = ask(pool, "small", 1, 1)
        while held.model.waiting < 8:
            time.sleep(0.005)
        held.go.set()
        assert [len(each.result(20)) for each in (large, small)] == [7, 1]
    prompts = list(dict.fromkeys(held.prompts))
    assert prompts.index("Prompt of small0") < prompts.index("Prompt of large6")


def test_large_requests_do_not_fill_the_queue_for_small_ones(held: Held) -> None:
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(20)
        held.model._costs.pace = 1.0  # a second a character: nothing changes the order while the test runs
        many = [make(f"large{i}") for i in range(100)]
        large = pool.submit(held.model.compare, many, 0, later())
        while held.model.waiting < 100:
            time.sleep(0.005)
        with pytest.raises(BusyError):
            held.model.compare(many, 0, later())
        small = pool.submit(held.model.compare, [make("small")], 1, later())
        while held.model.waiting < 101:
            time.sleep(0.005)
        held.go.set()
        assert [len(each.result(20)) for each in (first, large, small)] == [1, 100, 1]
    assert held.prompts.index("Prompt of small") < 2 + 2 * 6  # in the first batch after the one that was being judged


def test_nothing_waits_for_ever_behind_small_requests(held: Held) -> None:
    with ThreadPoolExecutor(4) as pool:
        pool.submit(held.model.compare, [make("0")], 0, later())
        assert held.entered.wait(20)
        large = pool.submit(held.model.compare, [make(f"large{i}") for i in range(6)], 0, later())
        while held.model.waiting < 6:
            time.sleep(0.005)
        held.model._jobs[0].arrived -= 1000  # longer than its work takes
        small = pool.submit(held.model.compare, [make("small")], 1, later())
        while held.model.waiting < 7:
            time.sleep(0.005)
        held.go.set()
        assert [len(each.result(20)) for each in (large, small)] == [6, 1]
    assert held.prompts.index("Prompt of small") == len(held.prompts) - 2


def test_a_batch_is_as_short_as_a_turn_but_shares_what_prompts_begin_with() -> None:
    sizes: list[int] = []
    judge = Judge(scripted("longer"), sampling=ONCE)
    model = Model(lambda: judge, batch=32, turn=0.0, on_batch=lambda size, seconds: sizes.append(size))
    model.start()
    assert len(model.compare([make(str(i)) for i in range(10)], 0, later())) == 10
    model.close(10)
    assert sizes == [7, 3]


def test_a_model_whose_time_is_mostly_fixed_gets_large_batches() -> None:
    sizes: list[int] = []
    judge = Judge(scripted("longer"), sampling=ONCE)
    model = Model(lambda: judge, batch=32, turn=0.0, on_batch=lambda size, seconds: sizes.append(size))
    model._costs.observe(1000, 1.0)
    model._costs.observe(4000, 1.1)
    model.start()
    assert len(model.compare([make(str(i)) for i in range(40)], 0, later())) == 40
    model.close(10)
    assert sizes[0] == 32


def test_one_that_cannot_be_done_in_time_does_not_make_the_batches_small(held: Held) -> None:
    """Else all behind it would be late too, and the next ones: a server that was overloaded once would stay so."""
    for _ in range(20):
        held.model._costs.observe(1600, 10.0)
        held.model._costs.observe(6400, 10.1)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(held.model.compare, [make("0")], 0, later())]
        assert held.entered.wait(20)
        for i in range(5):
            long = make(str(i), a="x" * 600, b="y" * 600)
            futures.append(pool.submit(held.model.compare, [long], 0, later(5 if i == 0 else 25)))
            while held.model.waiting < i + 1:
                time.sleep(0.005)
        held.go.set()
        assert [len(each.result(20)) for each in futures] == [1] * 6
    held.model.close(10)
    assert held.batches == [1, 5]


def test_seeds_share_batches_where_nothing_is_drawn(held: Held) -> None:
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(held.model.compare, [make("0")], 0, later())]
        assert held.entered.wait(20)
        futures += [pool.submit(held.model.compare, [make(str(seed))], seed, later()) for seed in (1, 2)]
        while held.model.waiting < 2:
            time.sleep(0.005)
        held.go.set()
        assert [len(each.result(20)) for each in futures] == [1, 1, 1]
    held.model.close(10)
    assert held.batches == [1, 2]


def test_an_end_while_the_model_is_loaded_does_not_wait_for_it() -> None:
    go = threading.Event()

    def load() -> Judge:
        assert go.wait(20)
        return Judge(scripted("longer"), sampling=ONCE)

    model = Model(load)
    model.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = queued(pool, model)
        model.close(20)
        with pytest.raises(ClosedError, match="shutting down"):
            waiting.result()
    go.set()


def test_a_thread_that_dies_is_not_ready_and_tells_those_who_wait() -> None:
    def broken(size: int, seconds: float) -> None:
        raise SystemExit("gone")

    ended = threading.Event()
    model = Model(lambda: Judge(scripted("longer"), sampling=ONCE), on_batch=broken, on_failure=ended.set)
    model.start()
    assert len(model.compare([make("0")], 0, later())) == 1
    model._thread.join(10)
    assert not model.ready and ended.is_set()
    with pytest.raises(ClosedError, match="gone"):
        model.compare([make("1")], 0, later())


def test_a_model_that_cannot_be_loaded_tells_those_who_wait() -> None:
    go = threading.Event()

    def load() -> Judge:
        assert go.wait(10)
        raise DataError("no weights here")

    model = Model(load)
    model.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = queued(pool, model)
        go.set()
        with pytest.raises(ClosedError, match="no weights here"):
            waiting.result()
    assert not model.ready
    with pytest.raises(ClosedError, match="no weights here"):
        QueuedJudge(model, later())
    model.close(10)


def test_a_task_has_the_judge_to_itself() -> None:
    model = Model(lambda: Judge(scripted("longer"), sampling=ONCE))
    model.start()
    assert model.alone(lambda judge: judge.backend.id, [1], later()) == "scripted:longer"
    model.close(10)
