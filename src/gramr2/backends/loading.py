"""Errors of loading a model, reported in one sentence that names its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gramr2.errors import GramrError, ModelError, reason_of


@contextmanager
def loading(what: str, folder: Path | str) -> Iterator[None]:
    """Turn library errors about a model's files, or a full GPU, into a ``ModelError``.

    Args:
        what: what is loaded, such as “the model”.
        folder: where it is.

    Raises:
        ModelError: the body failed; a deliberate error of the body itself passes through unchanged, and so does a
            ``MemoryError``.
    """
    try:
        yield
    except (GramrError, MemoryError):
        raise
    except Exception as error:
        # A model folder is foreign data, read by four libraries: a damaged one raises nearly every type there is,
        # and tokenizers raises a bare Exception.
        raise ModelError(f"{what} in {folder} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    # The message of transformers only points to a report in the log.
    if "ignore_mismatched_sizes" in text:
        return "its weights do not have the shapes that its config.json states"
    if isinstance(error, RecursionError):
        return "a file in it is nested too deeply"
    if isinstance(error, KeyError):
        # Its message is the key alone.
        return f"{text} is missing"
    first = reason_of(error)
    second = text.strip().removeprefix(first).strip().partition("\n")[0]
    return f"{first} {second}" if first.endswith(":") else first
