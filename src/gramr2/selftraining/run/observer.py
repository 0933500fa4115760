"""How a long run tells where it is, without printing: the command line draws bars, tests and libraries stay silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from gramr2.judging.judge import Progress


class Observer(Protocol):
    """Receives stages and their progress."""

    def task(self, title: str) -> AbstractContextManager[Progress]:
        """A stage begins; call the value with (done, total) while it lasts."""
        ...

    def note(self, text: str) -> None:
        """Something the user should know, once."""
        ...


class Silent:
    """Says nothing."""

    @contextmanager
    def task(self, title: str) -> Iterator[Progress]:
        """Progress goes nowhere."""
        yield lambda done, total: None

    def note(self, text: str) -> None:
        """Dropped."""
