"""Listening to a judge while its votes write their rationales."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from gramr2.backends.aloud import generate_aloud
from gramr2.backends.base import Backend, Completion, GenerationRequest
from gramr2.backends.wrapped import WrappedBackend
from gramr2.comparison import Comparison, Order
from gramr2.judging.judge import Judge
from gramr2.judgment import Decision


def judge_aloud(judge: Judge, comparison: Comparison, seed: int, heard: Callable[[Order, int, str], None]) -> Decision:
    """The decision of ``judge.compare``, which also tells what its votes write, as they write it.

    Args:
        judge: of any backend; one that is not ``Audible`` is heard when a vote is finished.
        comparison: what is judged.
        seed: see ``Judge.judge``.
        heard: called with the order that a vote is shown, its number in that order, and its whole text so far. A direct reading
            writes nothing and is not heard. An error that it raises ends the judging.
    """
    votes = range(judge.sampling.votes)
    asked = {order: judge.request(comparison, order, votes, seed) for order in judge.sampling.orders.shown}
    places = {each: (order, sample) for order, request in asked.items() for sample, each in enumerate(request.seeds)}

    def told(request: GenerationRequest, seed: int, text: Callable[[], str]) -> None:
        # Other readings ask with the same seeds, and votes that may stop early ask for some of them at a time.
        if seed in places and replace(asked[places[seed][0]], seeds=request.seeds) == request:
            heard(*places[seed], text())

    listened = Judge(_Overheard(judge.backend, told), judge.template, judge.sampling, judge.view)
    return listened.compare([comparison], seed)[0]


class _Overheard(WrappedBackend):
    """A backend that tells what it writes: the request, the seed of a sample, and what gives its text so far."""

    def __init__(self, backend: Backend, told: Callable[[GenerationRequest, int, Callable[[], str]], None]) -> None:
        super().__init__(backend)
        self._told = told

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        def heard(index: int, sample: int, text: Callable[[], str]) -> None:
            self._told(requests[index], requests[index].seeds[sample], text)

        return generate_aloud(self.backend, requests, heard)
