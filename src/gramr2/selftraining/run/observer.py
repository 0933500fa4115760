"""How a long run reports progress without printing: the command line draws bars, tests and libraries stay silent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from gramr2.data import watching
from gramr2.judging.judge import Progress


class Observer(Protocol):
    """Receives stages and their progress."""

    def task(self, title: str) -> AbstractContextManager[Progress]:
        """Begin a stage; call the yielded function with (done, total) while it lasts."""
        ...

    def note(self, text: str) -> None:
        """Tell the user something, once."""
        ...


@contextmanager
def reading(observer: Observer) -> Iterator[None]:
    """A stage for each source that is loaded in the body and has many rows; how many is not known before."""
    with ExitStack() as stack:
        reports: dict[str, Progress] = {}

        def told(source: str, rows: int) -> None:
            if source not in reports:
                stack.close()
                reports[source] = stack.enter_context(observer.task(f"read {source}"))
            reports[source](rows, 0)

        with watching(told):
            yield


class Silent:
    """An observer that discards everything."""

    @contextmanager
    def task(self, title: str) -> Iterator[Progress]:
        """Discard the progress."""
        yield lambda done, total: None

    def note(self, text: str) -> None:
        """Discard the note."""
