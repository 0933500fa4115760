"""Shared by the commands: consoles, logging, progress bars, and the options every command has."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from gramr2.files import strict_json
from gramr2.judging.judge import Progress as Report
from gramr2.text import visible

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
    stdout.print(table, width=None if stdout.is_terminal else 1000)


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


class Bars:
    """An ``Observer`` that draws a bar per stage on stderr; outside a terminal it prints a line per stage."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    @contextmanager
    def task(self, title: str) -> Iterator[Report]:
        """A bar while the stage lasts."""
        if self._quiet:
            yield lambda done, total: None
            return
        if not stderr.is_terminal:
            say(title, to=stderr)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
            bar = progress.add_task(escape(visible(title)), total=None)
            yield lambda done, total: progress.update(bar, completed=done, total=total)

    def note(self, text: str) -> None:
        """A line on stderr."""
        if not self._quiet:
            say(text, to=stderr, style="yellow")


def interval(low: float | None, high: float | None) -> str:
    """“54.0–68.1”."""
    return "–" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}"
