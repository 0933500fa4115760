"""Opening a source: its rows as comparisons, and a report of the rows that could not be read as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.data import Layout
from gramr2.data.formats.base import Row
from gramr2.data.labels import UnclearLabelsError
from gramr2.data.readers import read_rows
from gramr2.data.rows import read_row
from gramr2.data.textfiles import RawRow
from gramr2.data.unpaired import paired
from gramr2.errors import DataError

T = TypeVar("T")
TELLING = 2_000
"""rows between two reports of ``watching``, a tenth of a second"""
_WATCHER: ContextVar[Callable[[str, int], None] | None] = ContextVar("watcher", default=None)


class OnBadRow(StrEnum):
    """What to do with a row that is not a comparison: stop with an error, or skip it and record the reason."""

    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Opening:
    """A source and how it is opened; see ``load``."""

    source: str
    split: str | None = None
    base: Path | None = None
    layout: Layout | None = None
    name: str | None = None

    pairing: bool = False

    def rows(self) -> Iterator[RawRow]:
        """Its raw rows; if ``pairing``, those with one rated completion each as pairs."""
        split = self.split or (self.layout.split if self.layout else None)
        rows = read_rows(self.source, split, self.base, self.name)
        return paired(rows) if self.pairing else rows


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How a source was loaded; ``skipped`` has a “file:line: reason” for each row left out."""

    source: str
    rows: int
    kept: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The comparisons of a source, labelled where the source has a label, and how they were loaded."""

    comparisons: tuple[LabeledComparison | Comparison, ...]
    report: LoadReport


def load(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
    layout: Layout | None = None,
    name: str | None = None,
) -> Loaded:
    """The comparisons of a source, labelled or not.

    Args:
        source: a .jsonl, .ndjson, .json, .csv or .tsv file, each also with .gz, a .parquet file, a folder saved by
            ``datasets``, a hub id (``owner/name`` or ``owner/name@config``; after ``hub:`` it is never taken for a path),
            ``starter:labeled``, ``starter:unlabeled`` or ``starter:gold``, or from the laboratory ``lab:labeled``,
            ``lab:unlabeled``, ``lab:gold`` or ``lab:test``.
        split: split of a saved or hub data set; needed if it has several.
        limit: only the first ``limit`` comparisons of good rows.
        on_bad_row: see ``OnBadRow``; a row whose id occurred before is bad.
        base: folder that relative paths start at; default: the working folder.
        layout: which columns are what, what their labels mean, and what is ignored.
        name: what ids of rows without one begin with; default: the file's name.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(Opening(source, split, base, layout, name, pairing=True), limit, on_bad_row, labeled=False)


def load_labeled(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
    layout: Layout | None = None,
    name: str | None = None,
) -> tuple[tuple[LabeledComparison, ...], LoadReport]:
    """Labelled comparisons of a source; a row without a label is a bad row. Arguments and errors: see ``load``."""
    if layout is not None and layout.only_unlabeled:
        raise DataError(
            f"{source}: labelled comparisons are needed here, and only_unlabeled leaves them out: remove it"
        )
    loaded = _load(Opening(source, split, base, layout, name, pairing=True), limit, on_bad_row, labeled=True)
    return tuple(item for item in loaded.comparisons if isinstance(item, LabeledComparison)), loaded.report


def load_unlabeled(
    source: str,
    *,
    split: str | None = None,
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
    layout: Layout | None = None,
    name: str | None = None,
) -> tuple[tuple[Comparison, ...], LoadReport]:
    """Comparisons of a source; labels are ignored. Arguments and errors: see ``load``."""
    loaded = _load(Opening(source, split, base, layout, name, pairing=True), limit, on_bad_row, labeled=False)
    return tuple(_bare(item) for item in loaded.comparisons), loaded.report


def placed(
    source: str,
    *,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    layout: Layout | None = None,
    skipped: list[str] | None = None,
) -> Iterator[tuple[str, Comparison]]:
    """(place, comparison) of every row, one at a time, for sources that need not fit into memory; labels are ignored.

    An id may occur again. What is skipped is added to ``skipped``. Arguments and errors: see ``load``.
    """
    found = False
    for where, default_id, row in Opening(source, layout=layout, pairing=True).rows():
        try:
            items = read_row(_object(row, where), where, default_id=default_id, layout=layout)
        except DataError as error:
            if on_bad_row is OnBadRow.FAIL or isinstance(error, UnclearLabelsError):
                raise
            if skipped is not None:
                skipped.append(str(error))
            continue
        found = found or bool(items)
        yield from ((where, _bare(item)) for item in items)
    if not found:
        raise DataError(f"{source}: no usable comparison in it")


@contextmanager
def watching(told: Callable[[str, int], None]) -> Iterator[None]:
    """Tell (source, rows read so far) every ``TELLING`` rows of whatever is loaded in the body."""
    before = _WATCHER.set(told)
    try:
        yield
    finally:
        _WATCHER.reset(before)


def _load(opening: Opening, limit: int | None, on_bad_row: OnBadRow, *, labeled: bool) -> Loaded:
    seen: dict[str, tuple[Comparison, str | None]] = {}

    def read(row: Row, where: str, default_id: str) -> list[LabeledComparison | Comparison]:
        found = read_row(row, where, default_id=default_id, layout=opening.layout)
        if labeled and not all(isinstance(item, LabeledComparison) for item in found):
            raise DataError(f"{where}: has no label, and labelled comparisons are needed here")
        return [_told_apart(item, seen, where) for item in found]

    items, report = collect(opening, read, lambda item: _bare(item).id, "comparison", limit, on_bad_row)
    return Loaded(items, report)


def collect(
    opening: Opening,
    read: Callable[[Row, str, str], Sequence[T]],
    id_of: Callable[[T], str],
    what: str,
    limit: int | None,
    on_bad_row: OnBadRow,
) -> tuple[tuple[T, ...], LoadReport]:
    """The items in the rows of a source; an id that occurs a second time makes a bad row.

    Args:
        read: from a row, its place and its default id to its items; raises DataError for a bad row.
        id_of: the id of an item.
        what: what an item is called in errors.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    source = opening.source
    items: dict[str, T] = {}
    skipped: list[str] = []
    rows = 0
    for where, default_id, row in opening.rows():
        if limit is not None and len(items) >= limit:
            break
        rows += 1
        if rows % TELLING == 0 and (told := _WATCHER.get()):
            told(source, rows)
        try:
            fresh: dict[str, T] = {}
            for item in read(_object(row, where), where, default_id):
                if (name := id_of(item)) in items or name in fresh:
                    raise DataError(f"{where}: the id {name!r} occurs a second time")
                fresh[name] = item
        except DataError as error:
            if on_bad_row is OnBadRow.FAIL or isinstance(error, UnclearLabelsError):
                raise
            skipped.append(str(error))
        else:
            items |= fresh
    if not items:
        reason = f"; the first reason: {skipped[0]}" if skipped else ""
        raise DataError(f"{source}: no usable {what} in {rows} rows{reason}")
    kept = tuple(items.values())[:limit]
    return kept, LoadReport(source, rows, len(kept), tuple(skipped))


def _told_apart(
    item: LabeledComparison | Comparison, seen: dict[str, tuple[Comparison, str | None]], where: str
) -> LabeledComparison | Comparison:
    """The item, under an id of its own where another annotator's row of the same comparison has that id."""
    comparison = _bare(item)
    who = item.annotator if isinstance(item, LabeledComparison) else None
    known, first = seen.setdefault(comparison.id, (comparison, who))
    if known is comparison or not isinstance(item, LabeledComparison) or who is None:
        return item
    if (known.prompt, sorted(known.responses)) != (comparison.prompt, sorted(comparison.responses)):
        return item
    own = replace(comparison, id=f"{comparison.id}/{who}")
    there, named = seen.setdefault(own.id, (own, who))
    if who == first or (there is not own and who == named):
        raise DataError(f"{where}: the annotator {who!r} has a second row of {comparison.id!r}")
    if there is not own:
        raise DataError(f"{where}: the id {own.id!r}, which this row of {comparison.id!r} would get, is another row's")
    return replace(item, comparison=own)


def _bare(item: LabeledComparison | Comparison) -> Comparison:
    return item.comparison if isinstance(item, LabeledComparison) else item


def _object(row: object, where: str) -> dict[str, object]:
    if isinstance(row, DataError):
        raise row
    if not isinstance(row, dict):
        raise DataError(f"{where}: is not a JSON object")
    return row
