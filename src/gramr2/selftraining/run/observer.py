"""How a long run reports progress without printing: the command line draws bars, tests and libraries stay silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from gramr2.judging.judge import Progress


class Observer(Protocol):
    """Receives stages and their progress."""

    def task(self, title: str) -> AbstractContextManager[Progress]:
        """Begin a stage; call the yielded function with (done, total) while it lasts."""
        ...

    def note(self, text: str) -> None:
        """Tell the user something, once."""
        ...


class Silent:
    """An observer that discards everything."""

    @contextmanager
    def task(self, title: str) -> Iterator[Progress]:
        """Discard the progress."""
        yield lambda done, total: None

    def note(self, text: str) -> None:
        """Discard the note."""
