"""A scripted judge that is heard word by word, and stops when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gramr2.backends.aloud import Heard
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import extract

SAID = "Response A is short, and Response B is <longer> than it. Answers A and B are both text."


def longer(request: GenerationRequest, seed: int) -> str:
    _, first, second = extract(request.messages)
    return verdict_text(Label.A if len(first) > len(second) else Label.B, SAID)


class Speaking(ScriptedBackend):
    """``pause`` is called with the number of words that each sample has said; all samples speak at a time, as in a batch."""

    def __init__(self, pause: Callable[[int], None] = lambda words: None) -> None:
        super().__init__(longer, "speaking")
        self._pause = pause
        self.ended = threading.Event()
        """set when it has been stopped by whoever listens"""

    def generate_aloud(
        self, requests: Sequence[GenerationRequest], heard: Heard
    ) -> Iterator[tuple[int, list[Completion]]]:
        found = dict(self.generate(requests))
        texts = {(i, k): each.text.split(" ") for i, many in found.items() for k, each in enumerate(many)}
        try:
            for count in range(1, 1 + max(map(len, texts.values()), default=0)):
                self._pause(count)
                for place, words in texts.items():
                    heard(*place, partial(" ".join, words[:count]))
        except BaseException:
            self.ended.set()
            raise
        yield from found.items()


def speaking(pause: Callable[[int], None] = lambda words: None, votes: int = 2) -> Judge:
    return Judge(Speaking(pause), sampling=Sampling(votes=votes, temperature=0.7))


def held(words: int) -> tuple[threading.Event, Callable[[int], None]]:
    """A pause after so many words, until the event is set."""
    go = threading.Event()

    def pause(count: int) -> None:
        if count > words:
            assert go.wait(30)

    return go, pause
