"""Every error gramr2 raises on purpose.

    GramrError
    ├── ConfigError            (ValueError)         a run file or a flag says something impossible
    ├── DataError              (ValueError)         a data file or a row cannot be used
    │   └── PromptTooLongError                      a comparison does not fit the token budget
    ├── ModelError             (RuntimeError)       a model cannot be loaded or cannot judge
    │   └── ModelNotFoundError (FileNotFoundError)  there is no such model, here or on the hub
    ├── ContaminatedError      (RuntimeError)       more of a benchmark is in the training data than is allowed
    ├── NoVerdictError         (RuntimeError)       a judge decided nothing at all
    ├── RunError               (RuntimeError)       a run folder is in a state that forbids the step
    └── MissingDependencyError (ImportError)        an optional package is not installed

Each is also the standard-library error a caller would expect, so ``except ValueError`` works. A message is one
sentence that says what is wrong and what to change; the command line prints only that and exits with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution


DISTRIBUTIONS = ("gramr2", "gramr2-light")


class GramrError(Exception):
    """Base of all deliberate errors. ``exit_code`` is what the command line returns."""

    exit_code: int = 1


class ConfigError(GramrError, ValueError):
    """A run file, a field or a flag has a value that cannot work."""

    exit_code = 2


class DataError(GramrError, ValueError):
    """A data file is missing, unreadable, or holds a row that is not a comparison."""

    exit_code = 2


class PromptTooLongError(DataError):
    """A comparison needs more tokens than the budget leaves; nothing is ever cut to fit."""


class ModelError(GramrError, RuntimeError):
    """A model could not be loaded, or its tokenizer cannot express the verdicts."""

    exit_code = 2


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no model of the given name, folder, file or hub id."""


class ContaminatedError(GramrError, RuntimeError):
    """More of a benchmark was found in the training data than is allowed: what was written is complete."""


class NoVerdictError(GramrError, RuntimeError):
    """Not one comparison was decided, or not one response scored: what was written is complete, and of no use."""


class RunError(GramrError, RuntimeError):
    """A run folder cannot be continued as asked."""


def reason_of(error: Exception) -> str:
    """The first line of an error's message, or its type if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Add the file name to an ``OSError`` that has none: a write to a full disk fails without saying where.

    Raises:
        OSError: the same error, with ``filename``.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


class MissingDependencyError(GramrError, ImportError):
    """An optional package is needed for what was asked."""

    exit_code = 2

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: run  pip install {packages_of(extra) or package}")


def installed() -> Distribution | None:
    """The distribution that gramr2 was installed from, the whole or the one without torch; None for a checkout on the path."""
    from importlib.metadata import PackageNotFoundError, distribution

    for name in DISTRIBUTIONS:
        try:
            return distribution(name)
        except PackageNotFoundError:
            continue
    return None


def packages_of(extra: str) -> str:
    """The packages of an optional part of gramr2, as pip takes them; it works however gramr2 itself was installed."""
    found = installed()
    wanted = [each.partition(";") for each in (found.requires if found else None) or ()]
    named = (f'extra == "{extra}"', f"extra == '{extra}'")
    return " ".join(f"'{each.strip()}'" for each, _, marker in wanted if marker.strip() in named)
