"""Rows that are not comparisons: a prompt with many responses to rank, or with one to score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gramr2.comparison import Message, ResponseSet, SingleResponse
from gramr2.data.formats.base import Row, read_id, shown_columns
from gramr2.data.sources import LoadReport, OnBadRow, collect
from gramr2.data.turns import BadRowError, read_answer, read_prompt, read_references
from gramr2.errors import DataError

T = TypeVar("T", ResponseSet, SingleResponse)


def load_sets(
    source: str,
    *,
    split: str = "train",
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
) -> tuple[tuple[ResponseSet, ...], LoadReport]:
    """Rows with ``prompt`` and ``responses`` (2 to 64 texts or messages) and optionally ``id``; see ``gramr2.data.load``.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(_set, source, split, limit, on_bad_row, base)


def load_responses(
    source: str,
    *,
    split: str = "train",
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
) -> tuple[tuple[SingleResponse, ...], LoadReport]:
    """Rows with ``prompt``, ``response`` and optionally ``reference`` (a text) or ``references`` (a list) and ``id``; a row
    with ``responses`` gives one item for each.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(_singles, source, split, limit, on_bad_row, base)


def _load(
    read: Callable[[Row, str], list[T]],
    source: str,
    split: str,
    limit: int | None,
    on_bad_row: OnBadRow,
    base: Path | None,
) -> tuple[tuple[T, ...], LoadReport]:
    def placed(row: Row, where: str, default_id: str) -> list[T]:
        try:
            return read(row, default_id)
        except (BadRowError, DataError) as error:
            raise DataError(f"{where}: {error}") from None

    return collect(source, placed, lambda item: item.id, "row", split, limit, on_bad_row, base)


def _set(row: Row, default_id: str) -> list[ResponseSet]:
    prompt = _prompt(row)
    return [ResponseSet(read_id(row, default_id), prompt, _responses(row, prompt))]


def _singles(row: Row, default_id: str) -> list[SingleResponse]:
    prompt, name = _prompt(row), read_id(row, default_id)
    references = read_references(
        row.get("reference"), row.get("references"), lambda value, name: read_answer(value, name, prompt)
    )
    if row.get("response") is not None:
        return [SingleResponse(name, prompt, read_answer(row["response"], "response", prompt), references)]
    texts = _responses(row, prompt)
    return [SingleResponse(f"{name}:{i}", prompt, text, references) for i, text in enumerate(texts)]


def _prompt(row: Row) -> tuple[Message, ...]:
    if row.get("prompt") is None:
        raise BadRowError(f"there is no prompt; {shown_columns(row)}")
    return read_prompt(row["prompt"])


def _responses(row: Row, prompt: tuple[Message, ...]) -> tuple[str, ...]:
    values = row.get("responses")
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise BadRowError(f"responses must be a list of texts; {shown_columns(row)}")
    return tuple(read_answer(value, f"responses[{i}]", prompt) for i, value in enumerate(values))
