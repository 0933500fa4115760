"""Opening a source: JSON lines, Parquet, saved or hub data sets, and the starter set that comes with the package."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.rows import read_row
from gramr2.errors import DataError

STARTER = ("labeled", "unlabeled", "gold")
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".parquet")


class OnBadRow(StrEnum):
    """What a row that is not a comparison does: end the loading, or be counted with its reason."""

    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How a source went in; ``skipped`` holds a «file:line: reason» for each row left out."""

    source: str
    rows: int
    kept: int
    skipped: tuple[str, ...]


def load_labeled(
    source: str, *, split: str = "train", limit: int | None = None, on_bad_row: OnBadRow = OnBadRow.FAIL
) -> tuple[tuple[LabeledComparison, ...], LoadReport]:
    """Labelled comparisons of a source; a row without a label is a bad row.

    Args:
        source: a .jsonl, .json, .jsonl.gz or .parquet file, a folder saved by ``datasets``, a hub id (``owner/name`` or
            ``owner/name@config``), or ``starter:labeled``, ``starter:unlabeled``, ``starter:gold``.
        split: split of a saved or hub data set.
        limit: the first so many comparisons.
        on_bad_row: see ``OnBadRow``.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    loaded, report = _load(source, split, limit, on_bad_row, labeled=True)
    return tuple(item for item in loaded if isinstance(item, LabeledComparison)), report


def load_unlabeled(
    source: str, *, split: str = "train", limit: int | None = None, on_bad_row: OnBadRow = OnBadRow.FAIL
) -> tuple[tuple[Comparison, ...], LoadReport]:
    """Comparisons of a source without their labels, if it has any; see ``load_labeled``."""
    loaded, report = _load(source, split, limit, on_bad_row, labeled=False)
    return tuple(item.comparison if isinstance(item, LabeledComparison) else item for item in loaded), report


def _load(
    source: str, split: str, limit: int | None, on_bad_row: OnBadRow, *, labeled: bool
) -> tuple[list[LabeledComparison | Comparison], LoadReport]:
    items: list[LabeledComparison | Comparison] = []
    skipped: list[str] = []
    seen: set[str] = set()
    rows = 0
    for where, default_id, row in _rows(source, split):
        if limit is not None and len(items) >= limit:
            break
        rows += 1
        try:
            fresh = read_row(_object(row, where), where, default_id=default_id)
            for item in fresh:
                _admit(item, where, seen, labeled)
        except DataError as error:
            if on_bad_row is OnBadRow.FAIL:
                raise
            skipped.append(str(error))
        else:
            items += fresh
    if not items:
        reason = f"; the first reason: {skipped[0]}" if skipped else ""
        raise DataError(f"{source}: not one usable comparison in {rows} rows{reason}")
    items = items[:limit]
    return items, LoadReport(source, rows, len(items), tuple(skipped))


def _admit(item: LabeledComparison | Comparison, where: str, seen: set[str], labeled: bool) -> None:
    comparison = item.comparison if isinstance(item, LabeledComparison) else item
    if labeled and not isinstance(item, LabeledComparison):
        raise DataError(f"{where}: has no label, and labelled comparisons are needed here")
    if comparison.id in seen:
        raise DataError(f"{where}: the id {comparison.id!r} stands here a second time")
    seen.add(comparison.id)


def _object(row: object, where: str) -> dict[str, object]:
    if isinstance(row, DataError):
        raise row
    if not isinstance(row, dict):
        raise DataError(f"{where}: is not a JSON object")
    return row


def _rows(source: str, split: str) -> Iterator[tuple[str, str, object]]:
    """(place, default id, raw row) of every row; a row that cannot even be read is the error itself."""
    if source.startswith("starter:"):
        name = source.removeprefix("starter:")
        if name not in STARTER:
            raise DataError(f"{source}: the starter set has the parts {', '.join(STARTER)}")
        yield from _lines(files("gramr2.starter").joinpath(f"{name}.jsonl").read_bytes(), f"{source}", source)
        return
    path = Path(source)
    if path.is_dir():
        yield from _numbered(_saved(path, split), path.name)
    elif source.endswith(SUFFIXES):
        if not path.is_file():
            raise DataError(f"{source}: no such file")
        yield from _file(path)
    elif path.exists():
        raise DataError(f"{source}: the ending is not one of {', '.join(SUFFIXES)}")
    else:
        yield from _numbered(_hub(source, split), source)


def _file(path: Path) -> Iterator[tuple[str, str, object]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        try:
            table = pyarrow.parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error
        yield from _numbered(table.to_pylist(), path.name)
        return
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if path.suffix == ".json" and data.lstrip().startswith(b"["):
        try:
            yield from _numbered(json.loads(data), path.name)
        except ValueError as error:
            raise DataError(f"{path}: not valid JSON: {error}") from error
        return
    yield from _lines(data, str(path), path.name)


def _lines(data: bytes, place: str, name: str) -> Iterator[tuple[str, str, object]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{place}:{number}"
        row: object
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            row = DataError(f"{where}: is not UTF-8")
        except (ValueError, RecursionError) as error:
            row = DataError(f"{where}: is not JSON: {error}")
        yield where, f"{name}:{number}", row


def _numbered(rows: Iterable[Any], name: str) -> Iterator[tuple[str, str, object]]:
    for number, row in enumerate(rows, 1):
        yield f"{name}:{number}", f"{name}:{number}", row


def _saved(path: Path, split: str) -> Iterable[Any]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"{path}: not a folder that datasets saved: {str(error).splitlines()[0]}") from error
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise DataError(f"{path}: has no split {split!r}, it has {', '.join(map(str, loaded))}")
        loaded = loaded[split]
    rows: Iterable[Any] = loaded
    return rows


def _hub(source: str, split: str) -> Iterable[Any]:
    name, _, config = source.removeprefix("hub:").partition("@")
    if name.count("/") != 1:
        raise DataError(f"{source}: no such file or folder, and not a hub id (owner/name)")
    import datasets

    try:
        rows: Iterable[Any] = datasets.load_dataset(name, config or None, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{source}: no such file or folder here, and not to be had from the hub: {reason}") from error
    return rows
