"""Listening to a backend while it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from gramr2.backends.base import Backend, Completion, GenerationRequest

Heard = Callable[[int, int, Callable[[], str]], None]
"""Called with the index of a request, one of its samples by its number, and what gives the whole text of that sample so far: a
text takes longer to make than its next token to choose, so that only who reads it has it made."""


@runtime_checkable
class Audible(Protocol):
    """A backend that can be listened to while it writes."""

    def generate_aloud(
        self, requests: Sequence[GenerationRequest], heard: Heard
    ) -> Iterator[tuple[int, list[Completion]]]:
        """See ``generate_aloud``."""
        ...


def generate_aloud(
    backend: Backend, requests: Sequence[GenerationRequest], heard: Heard
) -> Iterator[tuple[int, list[Completion]]]:
    """``generate``, which also tells what is written, as it is written.

    Args:
        backend: if it is not ``Audible``, a sample is heard once, when its request is finished.
        requests: what to complete.
        heard: an error that it raises ends the generation.
    """
    if isinstance(backend, Audible):
        yield from backend.generate_aloud(requests, heard)
        return
    for index, completions in backend.generate(requests):
        for sample, completion in enumerate(completions):
            heard(index, sample, partial(str, completion.text))
        yield index, completions
