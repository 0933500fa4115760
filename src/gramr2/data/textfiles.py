"""Rows of text files: JSON lines, JSON in the shapes that tools write, and tables; zipped or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gramr2.errors import DataError

# (place, default id, raw row); in place of a row that cannot be read there is a DataError.
RawRow = tuple[str, str, object]

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_GZIP = b"\x1f\x8b"
# Possessive, so that a megabyte of one line is looked through once.
_TWO_LINES = re.compile(r"\s*+[^\n]*+\n\s*+\S")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def text_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a file; its name says whether it is a table, its first bytes whether it is zipped, and in which encoding.

    Raises:
        DataError: the file as a whole cannot be read; for a single bad line the error is yielded instead.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(_GZIP) or path.suffix.lower() == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    separator = _SEPARATORS.get(kind)
    lines = kind != ".json"
    text = _decoded(data, path, lines=separator is None)
    # A file of a million rows is in memory once while they are read, not three times.
    del data
    if separator is not None:
        yield from _table(text, separator, str(path), path.name)
    elif text.lstrip()[:1] == "[":
        yield from _array(text, path, lines)
    elif (not lines or _TWO_LINES.match(text)) and (whole := _single(text)) is not None:
        yield from numbered(_unwrapped(whole), path.name)
    else:
        yield from json_lines(text, str(path), path.name)


def _decoded(data: bytes, path: Path, *, lines: bool) -> str:
    """The text of a file. Bytes that are no UTF-8 become surrogates, so that of JSON lines only the bad ones are refused."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            data, coding = data.removeprefix(mark), encoding
            break
    else:
        coding = "utf-8"
    try:
        return data.decode(coding, "surrogateescape" if lines and coding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: is not {coding.upper()}") from error


def numbered(rows: Iterable[Any], name: str) -> Iterator[RawRow]:
    """Rows that have no lines of their own, by number."""
    for number, row in enumerate(rows, 1):
        yield f"{name}:{number}", f"{name}:{number}", row


def json_lines(text: str, place: str, name: str) -> Iterator[RawRow]:
    """A row from each line that is not blank. Lines end at a line feed alone: other separators may be in a text."""
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        where = f"{place}:{number}"
        row: object
        try:
            line.encode("utf-8")
            row = json.loads(line)
        except UnicodeEncodeError:
            row = DataError(f"{where}: is not UTF-8")
        except (ValueError, RecursionError) as error:
            row = DataError(f"{where}: is not JSON: {error}")
        yield where, f"{name}:{number}", row


def _lines(text: str) -> Iterator[str]:
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _array(text: str, path: Path, lines: bool) -> Iterator[RawRow]:
    """An array of rows. In a file of JSON lines it may also be that lines are arrays, which are then refused one by one."""
    try:
        text.encode("utf-8")
        rows = json.loads(text)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        if lines:
            yield from json_lines(text, str(path), path.name)
            return
        if isinstance(error, json.JSONDecodeError):
            raise DataError(f"{path}:{error.lineno}: is not valid JSON: {error.msg}") from error
        raise DataError(f"{path}: is not valid JSON: {error}") from error
    yield from numbered(rows, path.name)


def _single(text: str) -> dict[str, Any] | None:
    """The object that is all of the file."""
    try:
        text.encode("utf-8")
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unwrapped(whole: Mapping[str, Any]) -> list[Any]:
    """The rows of one object: it has them under its only key, or a list for each column, or is the only row itself."""
    values = list(whole.values())
    if len(values) == 1 and isinstance(values[0], list) and all(isinstance(each, dict) for each in values[0]):
        return values[0]
    level = bool(values) and all(isinstance(each, list) and len(each) == len(values[0]) for each in values)
    # The messages of a single row are lists too, but no list of texts, ids or numbers is a whole prompt.
    if level and any(not isinstance(item, dict) for each in values for item in each):
        return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]
    return [dict(whole)]


def _table(text: str, separator: str, place: str, name: str) -> Iterator[RawRow]:
    """The rows of a table under the names in its first line; an empty cell is an empty text."""
    try:
        csv.field_size_limit(2**31 - 1)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = next(lines, [])
        if len(set(names)) < len(names) or not all(each.strip() for each in names):
            raise DataError(f"{place}:1: the first line must name each column once")
        for number, cells in enumerate(lines, 1):
            where = f"{place}:{lines.line_num}"
            if not cells:
                continue
            if len(cells) != len(names):
                told = f"{where}: has {len(cells)} cells, and the first line names {len(names)} columns"
                yield where, f"{name}:{number}", DataError(told)
                continue
            yield where, f"{name}:{number}", dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{place}: is not a table: {error}") from error
