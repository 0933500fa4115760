"""Requests spread over workers: who computes what, and what a worker's death changes. The workers are objects of this process."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gramr2.backends.base import Completion, Decoding, GenerationRequest, Score, ScoreRequest
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.scripted import ScriptedBackend
from gramr2.backends.spread import TRIES, UNIT, Host, SpreadBackend, WorkerLostError
from gramr2.comparison import Message
from gramr2.errors import MissingDependencyError, ModelError, PromptTooLongError
from gramr2.journal import Journal
from gramr2.judgment import FinishReason


class Batched(ScriptedBackend):
    """Like a model in this process, it gives answers whose digits depend on what is asked together."""

    def __init__(self, name: str = "m", chunk: int | None = 4) -> None:
        super().__init__(lambda request, seed: "", name)
        self.chunk = chunk

    def generate(self, requests):  # type: ignore[no-untyped-def]
        self.requests += requests
        width = len(requests)
        for i, request in enumerate(requests):
            if request.messages[0].content == "too long":
                raise PromptTooLongError("too long")
            texts = [f"{request.messages[0].content} {seed} of {width}" for seed in request.seeds]
            yield i, [Completion(text, FinishReason.CLOSED, {"A": -0.1 / width}) for text in texts]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return [Score(-float(i) / len(requests), 1) for i in range(len(requests))]


class Scripted:
    """A crew whose workers compute when they are looked at: the last call first once all have
    loaded, so that nothing comes in order.

    ``dies(worker, method, call)`` says whether a worker ends at a call, with workers and a worker's calls counted from 0.
    """

    def __init__(
        self,
        opened: Callable[[int], ScriptedBackend] = lambda number: Batched(),
        dies: Callable[[int, str, int], bool] = lambda worker, method, call: False,
    ) -> None:
        self.opened, self.dies = opened, dies
        self.hosts: list[Host] = []
        self.calls: list[tuple[int, str, tuple[Any, ...]]] = []
        self.dead: set[int] = set()
        self.stopped: list[int] = []
        self.silent = 0

    def start(self) -> int:
        number = len(self.hosts)
        self.hosts.append(Host(lambda: self.opened(number), lambda: "v1", f"machine {number}"))
        return number

    def send(self, worker: int, method: str, *given: Any) -> int:
        assert worker not in self.dead
        self.calls.append((worker, method, given))
        return len(self.calls) - 1

    def finished(self, tickets: Sequence[int]) -> Sequence[int]:
        if self.silent:
            self.silent -= 1
            return []
        return [max(tickets, key=lambda ticket: (self.calls[ticket][1] == "facts", ticket))]

    def result(self, ticket: int) -> Any:
        worker, method, given = self.calls[ticket]
        before = [n for n, (other, of, _) in enumerate(self.calls[:ticket]) if other == worker and of == method]
        if self.dies(worker, method, len(before)):
            self.dead.add(worker)
            raise WorkerLostError("it is gone")
        return getattr(self.hosts[worker], method)(*given)

    def stop(self, workers: Sequence[int]) -> None:
        self.stopped += workers

    @property
    def parts(self) -> list[list[str]]:
        """What was asked together."""
        return [[each.messages[0].content for each in given[0]] for _, method, given in self.calls if given]


def requests(count: int) -> list[GenerationRequest]:
    return [GenerationRequest((Message("user", f"r{i}"),), (1, 2), Decoding(1.0)) for i in range(count)]


def spread(crew: Scripted, size: int = 2) -> SpreadBackend:
    return SpreadBackend(crew, size, lambda messages, answer: len(messages))


def alone(asked: Sequence[GenerationRequest], journal: Journal) -> dict[int, list[Completion]]:
    """The answers of the model in this process."""
    return dict(JournaledBackend(Batched(), journal).generate(asked))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_answers_and_journal_are_those_of_one_process(size: int) -> None:
    here, there, crew = Journal(), Journal(), Scripted()
    expected = alone(requests(10), here)
    assert dict(JournaledBackend(spread(crew, size), there).generate(requests(10))) == expected
    assert there._records == here._records
    assert {len(part) for part in crew.parts} == {4, 2}


def test_workers_share_the_work() -> None:
    crew = Scripted()
    list(spread(crew).generate(requests(16)))
    assert {worker for worker, method, _ in crew.calls if method == "generate"} == {0, 1}


def test_every_chunk_is_with_a_worker_before_the_first_is_finished() -> None:
    crew = Scripted()
    backend = JournaledBackend(spread(crew, 3), Journal())
    assert backend.id == "m"
    next(iter(backend.generate(requests(12))))
    assert len(crew.parts) >= 2


def test_a_killed_call_keeps_what_had_come_and_repeats_whole_chunks(tmp_path: Path) -> None:
    asked, expected = requests(10), alone(requests(10), Journal())
    with Journal(tmp_path / "j") as journal:
        answers = JournaledBackend(spread(Scripted()), journal).generate(asked)
        for _ in range(5):
            next(answers)
        answers.close()
        kept = {*journal._places}
    assert 0 < len(kept) < 20
    crew = Scripted()
    with Journal(tmp_path / "j") as journal:
        assert dict(JournaledBackend(spread(crew), journal).generate(asked)) == expected
    parts = [[f"r{i}" for i in part] for part in (range(4), range(4, 8), range(8, 10))]
    assert all(part in parts for part in crew.parts) and 0 < len(crew.parts) < 3
    with Journal(tmp_path / "j") as journal:
        again = Scripted()
        assert dict(JournaledBackend(spread(again), journal).generate(asked)) == expected
    assert again.parts == []


def test_a_model_that_does_not_depend_on_its_batch_is_asked_only_for_what_is_missing() -> None:
    journal, asked = Journal(), requests(2 * UNIT + 3)
    crew = Scripted(lambda number: Batched(chunk=None))
    backend = JournaledBackend(spread(crew), journal)
    list(backend.generate(asked[:2]))
    list(backend.generate(asked))
    assert sorted(map(len, crew.parts)) == [1, 2, UNIT, UNIT]
    assert len(journal) == 2 * len(asked)


@pytest.mark.parametrize("call", [0, 1])
def test_a_worker_that_ends_is_replaced_and_its_work_is_sent_again(call: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gramr2")
    crew = Scripted(dies=lambda worker, method, n: (worker, method, n) == (0, "generate", call))
    here, there = Journal(), Journal()
    assert dict(JournaledBackend(spread(crew), there).generate(requests(24))) == alone(requests(24), here)
    assert there._records == here._records
    assert len(crew.hosts) == 3 and crew.dead == {0}
    assert "it is gone; 1 of 3 over the same requests" in caplog.text


def test_work_that_ends_every_worker_is_given_up() -> None:
    crew = Scripted(dies=lambda worker, method, n: method == "generate" and worker < TRIES)
    backend = spread(crew, 1)
    with pytest.raises(ModelError, match="3 workers ended over the same 3 requests .*it is gone.*memory"):
        list(backend.generate(requests(3)))
    assert len(crew.dead) == len(crew.hosts) == TRIES
    assert len(dict(backend.generate(requests(3)))) == 3, "the next work has a worker"


def test_workers_that_end_while_they_load_are_replaced_or_given_up() -> None:
    some = Scripted(dies=lambda worker, method, n: method == "facts" and worker in (1, 2))
    assert len(dict(spread(some).generate(requests(8)))) == 8
    every = Scripted(dies=lambda worker, method, n: method == "facts")
    with pytest.raises(ModelError, match="3 workers ended while they loaded the model"):
        _ = spread(every).id
    assert len(every.dead) == TRIES


def test_workers_with_different_models_are_refused() -> None:
    crew = Scripted(lambda number: Batched(f"m{number}"))
    with pytest.raises(
        ModelError, match=r"the worker on machine 0 has id m0 and the one on machine 1 has m1.*same model folder"
    ):
        list(spread(crew).generate(requests(8)))


def test_an_error_of_the_model_is_the_same_as_here_and_ends_no_worker() -> None:
    crew = Scripted()
    backend = spread(crew)
    with pytest.raises(PromptTooLongError):
        list(backend.generate([GenerationRequest((Message("user", "too long"),), (1,))]))
    assert len(dict(backend.generate(requests(8)))) == 8
    assert len(crew.hosts) == 2


def test_what_a_worker_misses_can_be_said_in_another_process() -> None:
    def opened(number: int) -> ScriptedBackend:
        raise MissingDependencyError("sentencepiece", "none", "this tokenizer")

    with pytest.raises(ModelError, match="this tokenizer needs the package sentencepiece") as caught:
        _ = spread(Scripted(opened)).id
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_scores_come_in_order_and_are_kept_as_they_come() -> None:
    texts = [ScoreRequest((Message("user", "p"),), f"t{i}") for i in range(10)]
    here, there = Journal(), Journal()
    expected = JournaledBackend(Batched(), here).score(texts)
    backend = spread(Scripted())
    assert JournaledBackend(backend, there).score(texts) == expected
    assert there._records == here._records
    assert backend.score(texts) == expected


def test_scores_that_came_before_the_work_was_given_up_are_kept() -> None:
    class Deadly(Batched):
        def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
            if requests[0].text == "t8":
                raise WorkerLostError("it is gone")
            return super().score(requests)

    texts, journal = [ScoreRequest((Message("user", "p"),), f"t{i}") for i in range(10)], Journal()
    with pytest.raises(ModelError):
        JournaledBackend(spread(Scripted(lambda number: Deadly())), journal).score(texts)
    assert len(journal) in (4, 8)


def test_counts_need_no_worker_and_closing_ends_all() -> None:
    crew = Scripted()
    backend = spread(crew, 3)
    assert backend.count_tokens((Message("user", "p"),)) == 1
    assert [method for _, method, _ in crew.calls] == ["facts"] * 3
    backend.close()
    assert sorted(crew.stopped) == [0, 1, 2]
    backend.close()
    assert len(crew.stopped) == 3
    with pytest.raises(ModelError, match="have ended: open it again"):
        list(backend.generate(requests(1)))


def test_waiting_for_a_place_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gramr2")
    crew = Scripted()
    crew.silent = 3
    assert spread(crew).context_length == 1 << 20
    assert caplog.text.count("2 workers are still loading the model or waiting for a place") == 1
