"""Rows that are not comparisons: a prompt with many responses to rank, or with one to score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gramr2.comparison import Message, ResponseSet, SingleResponse
from gramr2.config.data import Layout
from gramr2.data.fields import Fields
from gramr2.data.formats.base import Row, read_id, shown_columns
from gramr2.data.prompts import find_prompt
from gramr2.data.rows import prepared
from gramr2.data.sources import LoadReport, OnBadRow, Opening, collect
from gramr2.data.turns import BadRowError, read_answer, read_references, read_text
from gramr2.errors import DataError

# What a file may also have that is judged or scored, and of no use here.
_OF_PAIRS = ("label", "rationale", "target", "scores", "ranking")
_OF_SCORES = ("reference", "references")

T = TypeVar("T", ResponseSet, SingleResponse)


def load_sets(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
    layout: Layout | None = None,
) -> tuple[tuple[ResponseSet, ...], LoadReport]:
    """Rows with ``prompt`` and ``responses`` (2 to 64 texts or messages) and optionally ``id``; see ``gramr2.data.load``.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(_set, Opening(source, split, base, layout), limit, on_bad_row)


def load_responses(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
    layout: Layout | None = None,
) -> tuple[tuple[SingleResponse, ...], LoadReport]:
    """Rows with ``prompt``, ``response`` and optionally ``reference`` (a text) or ``references`` (a list) and ``id``; a row
    with ``responses`` gives one item for each.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(_singles, Opening(source, split, base, layout), limit, on_bad_row)


def _load(
    read: Callable[[Fields, str], list[T]],
    opening: Opening,
    limit: int | None,
    on_bad_row: OnBadRow,
) -> tuple[tuple[T, ...], LoadReport]:
    def placed(row: Row, where: str, default_id: str) -> list[T]:
        try:
            fields = prepared(row, opening.layout or Layout())
            fields.use(*_OF_PAIRS)
            found = read(fields, default_id)
            fields.refuse_unused()
            return found
        except (BadRowError, DataError) as error:
            raise DataError(f"{where}: {error}") from None
        except RecursionError:
            raise DataError(f"{where}: is nested too deeply") from None

    return collect(opening, placed, lambda item: item.id, "row", limit, on_bad_row)


def _set(row: Fields, default_id: str) -> list[ResponseSet]:
    row.use(*_OF_SCORES)
    prompt = _prompt(row)
    return [ResponseSet(read_id(row, default_id), prompt, _responses(row, prompt))]


def _singles(row: Fields, default_id: str) -> list[SingleResponse]:
    prompt, name = _prompt(row), read_id(row, default_id)
    references = read_references(
        row.get("reference"),
        row.get("references"),
        lambda value, name: read_text(read_answer(value, name, prompt), name),
    )
    if row.get("response") is not None:
        return [SingleResponse(name, prompt, read_answer(row["response"], "response", prompt), references)]
    texts = _responses(row, prompt)
    return [SingleResponse(f"{name}:{i}", prompt, text, references) for i, text in enumerate(texts)]


def _prompt(row: Row) -> tuple[Message, ...]:
    prompt = find_prompt(row)
    if prompt is None:
        raise BadRowError(f"there is no prompt; {shown_columns(row)}")
    return prompt


def _responses(row: Row, prompt: tuple[Message, ...]) -> tuple[str, ...]:
    values = row.get("responses")
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise BadRowError(f"responses must be a list of texts; {shown_columns(row)}")
    return tuple(read_answer(value, f"responses[{i}]", prompt) for i, value in enumerate(values))
