"""Answers as server-sent events while they are made; votes in the chunks of OpenAI's chat completions."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from gramr2.errors import GramrError
from gramr2.files import strict_json
from gramr2.serving.errors import GoneError, LateError
from gramr2.serving.problems import UNEXPECTED, status_of
from gramr2.serving.refusals import openai_problem
from gramr2.serving.shapes.chat import Choice

DONE = "data: [DONE]\n\n"


T = TypeVar("T")


@dataclass
class Relay(Generic[T]):
    """From the model's thread to the one that sends: how far the answer is, and when it is there."""

    _told: queue.SimpleQueue[tuple[T] | None] = field(default_factory=queue.SimpleQueue)

    def tell(self, told: T) -> None:
        """It has got so far."""
        self._told.put((told,))

    def follow(self, future: Future[Any], deadline: float) -> Iterator[T]:
        """What is told until the future is done.

        Raises:
            LateError: that is not by the deadline, on the clock of ``time.monotonic``; the future is ended with it.
        """
        future.add_done_callback(lambda _: self._told.put(None))
        while True:
            try:
                told = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                with suppress(InvalidStateError):
                    future.set_exception(LateError())
                raise LateError from None
            if told is None:
                return
            yield told[0]


@dataclass
class Chunks:
    """The events of one answer.

    Args:
        frame: what every chunk has in common.
        count: of the choices.
        usage: whether every chunk has a place for it.
    """

    frame: dict[str, Any]
    count: int
    usage: bool = False
    _sent: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._sent = [""] * self.count

    def begin(self, told: dict[str, Any]) -> Iterator[str]:
        """The first chunk of every choice, without text but with what OpenAI's shape has no place for."""
        for index in range(self.count):
            yield self._chunk(index, {"role": "assistant", "content": ""}, gramr2=told)

    def grown(self, index: int, text: str) -> Iterator[str]:
        """A chunk with what is new in a choice's text; none if nothing is."""
        # A batch that is computed again after an error tells its beginning again.
        if len(text) > len(self._sent[index]) and text.startswith(self._sent[index]):
            new, self._sent[index] = text[len(self._sent[index]) :], text
            yield self._chunk(index, {"content": new})

    def end(self, choice: Choice) -> Iterator[str]:
        """What is left of a choice, its logprobs, and why it ended."""
        rest = choice.message.content.removeprefix(self._sent[choice.index])
        found = None if choice.logprobs is None else choice.logprobs.model_dump()
        if rest or found is not None:
            yield self._chunk(choice.index, {"content": rest}, logprobs=found)
        yield self._chunk(choice.index, {}, finish=choice.finish_reason)

    def last(self, **more: Any) -> str:
        """A chunk without a choice."""
        return event(self.frame | {"choices": []} | more)

    def _chunk(
        self, index: int, delta: dict[str, Any], *, logprobs: Any = None, finish: str | None = None, **more: Any
    ) -> str:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return event(self.frame | {"choices": [choice]} | ({"usage": None} if self.usage else {}) | more)


def guarded(
    events: Callable[[], Iterator[str]], problem: Callable[[int, str], dict[str, Any]] = openai_problem
) -> Iterator[str]:
    """Events, with an error as the last one: the status has been sent. Nobody is told who has gone.

    Args:
        events: makes them.
        problem: makes the last one of the status that the error would have had, and its sentence.
    """
    try:
        yield from events()
    except GoneError:
        return
    except GramrError as error:
        yield event(problem(status_of(error), str(error)))
    except Exception:
        yield event(problem(500, UNEXPECTED))
        raise


def event(value: dict[str, Any]) -> str:
    """A value as one event, in strict JSON. Half of a surrogate pair, which a judge may write and UTF-8 cannot, is escaped."""
    return f"data: {strict_json(value, ensure_ascii=True)}\n\n"
