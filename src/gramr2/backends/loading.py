"""Errors of loading a model, reported in one sentence that names its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from gramr2.errors import ModelError, reason_of


@contextmanager
def loading(what: str, folder: Path | str) -> Iterator[None]:
    """Turn library errors about a model's files, or a full GPU, into a ``ModelError``.

    Args:
        what: what is loaded, such as “the model”.
        folder: where it is.

    Raises:
        ModelError: the body failed; a ``ModelError`` of the body itself passes through unchanged.
    """
    try:
        yield
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{what} in {folder} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    # The message of transformers only points to a report in the log.
    if "ignore_mismatched_sizes" in text:
        return "its weights do not have the shapes that its config.json states"
    first = reason_of(error)
    second = text.strip().removeprefix(first).strip().partition("\n")[0]
    return f"{first} {second}" if first.endswith(":") else first
