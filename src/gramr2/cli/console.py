"""Shared by the commands: consoles, logging, progress bars, and the options every command has."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from gramr2.files import strict_json
from gramr2.judging.judge import Progress as Report
from gramr2.text import duration, visible

T = TypeVar("T")
PATIENCE = 2.0
"""seconds that a stage may last without a word"""
EVERY = 60.0
"""seconds between the lines of a stage outside a terminal"""

stdout = Console()
stderr = Console(stderr=True)


def say(text: str, *, to: Console = stdout, style: str | None = None) -> None:
    """Print a text as it is: no markup, no highlighting, and no line wrapping outside a terminal.

    Output that a program reads must not depend on the width of somebody's window. Control characters are shown, not sent: data
    must not move the cursor, or set the window's title.
    """
    to.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=not to.is_terminal)


class Grid(Table):
    """A table whose texts are shown as they are: no markup, and no control characters."""

    def __init__(self, *headers: Any, title: str | None = None, **options: Any) -> None:
        # As a plain string, rich would read markup in it.
        named = None if title is None else Text(visible(title), style="table.title", justify="center")
        super().__init__(*headers, title=named, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """See rich's ``Table.add_row``."""
        super().add_row(*(Text(visible(each)) if isinstance(each, str) else each for each in cells), **options)


def say_json(value: Any) -> None:
    """Print a value as one line of strict JSON."""
    say(strict_json(value, ensure_ascii=True))


def show(table: Table) -> None:
    """Print a table; outside a terminal at its natural width."""
    # A width given to print is cut to the console's, which is 80 where there is no terminal.
    (stdout if stdout.is_terminal else Console(width=1000)).print(table)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def set_up_logging(quiet: bool) -> None:
    """Send our log to stderr, and silence the libraries' messages."""
    import os
    import warnings

    # Deprecation warnings between libraries are for their maintainers, not for somebody who trains a judge.
    warnings.filterwarnings("ignore", category=FutureWarning)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logger = logging.getLogger("gramr2")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    if not logger.handlers:
        handler: logging.Handler = logging.StreamHandler()
        if stderr.is_terminal:
            handler = RichHandler(console=stderr, show_path=False, show_level=False, markup=False, highlighter=None)
        else:
            handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
        handler.addFilter(_Visible())
        logger.addHandler(handler)
        logger.propagate = False


class _Visible(logging.Filter):
    """Shows control characters in messages, whose values come from data."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = visible(record.getMessage()), ()
        return True


def rate_of(speed: float) -> str:
    """“3.2/s”, or “4.5/min” where less than one a second is done."""
    return f"{speed:.3g}/s" if speed >= 1 else f"{60 * speed:.3g}/min"


class RateColumn(ProgressColumn):
    """How many are done a second, or a minute."""

    def render(self, task: Task) -> Text:
        """Nothing until something is done."""
        speed = task.finished_speed or task.speed
        return Text(rate_of(speed) if speed else "", style="progress.data.speed")


class Lines:
    """What a stage tells outside a terminal: once a minute how much is done, how fast, and how long it will take.

    A total of 0 is one that is not known. What begins anew, as a second part of a stage does, is reckoned from there.

    Args:
        title: of the stage.
        clock: seconds; a test gives its own.
    """

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title, self._clock = title, clock
        self._begun = self._told = clock()
        self._done = 0

    def after(self, done: int, total: int) -> str | None:
        """The line to print, if one is due; none after the last."""
        now = self._clock()
        self._begun, self._done = (now if done < self._done else self._begun), done
        if now - self._told < EVERY or not done > 0 or 0 < total <= done or now == self._begun:
            return None
        self._told, speed = now, done / (now - self._begun)
        if not total:
            return f"{self._title}: {done}, {rate_of(speed)}"
        return f"{self._title}: {done} of {total}, {rate_of(speed)}, {duration((total - done) / speed)} left"


class Bars:
    """An ``Observer`` that draws a bar per stage on stderr; outside a terminal it prints a line per stage, and one a minute.

    Args:
        quiet: show nothing.
        brief: the stages are usually over at once: bars vanish, and a line is for a stage that takes longer than ``PATIENCE``.
    """

    def __init__(self, quiet: bool = False, brief: bool = False) -> None:
        self._quiet, self._brief = quiet, brief

    @contextmanager
    def task(self, title: str) -> Iterator[Report]:
        """A bar while the stage lasts."""
        if self._quiet:
            yield lambda done, total: None
            return
        untold = self._brief
        if not stderr.is_terminal and not untold:
            say(title, to=stderr)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        lines, begun = Lines(title), time.monotonic()
        with Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=self._brief) as progress:
            bar = progress.add_task(escape(visible(title)), total=None)

            def report(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total or None)
                nonlocal untold
                if untold and not stderr.is_terminal and time.monotonic() - begun > PATIENCE:
                    untold = False
                    say(title, to=stderr)
                if not stderr.is_terminal and (line := lines.after(done, total)):
                    say(line, to=stderr)

            yield report

    def over(self, title: str, items: Sequence[T]) -> Iterator[T]:
        """The items, one by one, with a stage while they are taken."""
        with self.task(title) as report:
            for done, each in enumerate(items, 1):
                yield each
                report(done, len(items))

    def note(self, text: str) -> None:
        """A line on stderr."""
        if not self._quiet:
            say(text, to=stderr, style="yellow")


def interval(low: float | None, high: float | None) -> str:
    """“54.0–68.1”."""
    return "–" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"
