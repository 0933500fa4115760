"""Opening a source: its rows as comparisons, and a report of the rows that could not be read as such."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.readers import read_rows
from gramr2.data.rows import read_row
from gramr2.errors import DataError


class OnBadRow(StrEnum):
    """What to do with a row that is not a comparison: stop with an error, or skip it and record the reason."""

    FAIL = "fail"
    SKIP = "skip"


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
    split: str = "train",
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
) -> Loaded:
    """The comparisons of a source, labelled or not.

    Args:
        source: a .jsonl, .json, .jsonl.gz or .parquet file, a folder saved by ``datasets``, a hub id (``owner/name`` or
            ``owner/name@config``; after ``hub:`` it is never taken for a path), ``starter:labeled``, ``starter:unlabeled``
            or ``starter:gold``, or from the laboratory ``lab:labeled``, ``lab:unlabeled``, ``lab:gold`` or ``lab:test``.
        split: split of a saved or hub data set.
        limit: only the first ``limit`` comparisons of good rows.
        on_bad_row: see ``OnBadRow``; a row whose id occurred before is bad.
        base: folder that relative paths start at; default: the working folder.

    Raises:
        DataError: the source cannot be read, a row is bad (``FAIL``), or nothing usable is in it.
    """
    return _load(source, split, limit, on_bad_row, base, labeled=False)


def load_labeled(
    source: str,
    *,
    split: str = "train",
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
) -> tuple[tuple[LabeledComparison, ...], LoadReport]:
    """Labelled comparisons of a source; a row without a label is a bad row. Arguments and errors: see ``load``."""
    loaded = _load(source, split, limit, on_bad_row, base, labeled=True)
    return tuple(item for item in loaded.comparisons if isinstance(item, LabeledComparison)), loaded.report


def load_unlabeled(
    source: str,
    *,
    split: str = "train",
    limit: int | None = None,
    on_bad_row: OnBadRow = OnBadRow.FAIL,
    base: Path | None = None,
) -> tuple[tuple[Comparison, ...], LoadReport]:
    """Comparisons of a source; labels are ignored. Arguments and errors: see ``load``."""
    loaded = _load(source, split, limit, on_bad_row, base, labeled=False)
    return tuple(_bare(item) for item in loaded.comparisons), loaded.report


def _load(
    source: str, split: str, limit: int | None, on_bad_row: OnBadRow, base: Path | None, *, labeled: bool
) -> Loaded:
    items: list[LabeledComparison | Comparison] = []
    skipped: list[str] = []
    seen: set[str] = set()
    rows = 0
    for where, default_id, row in read_rows(source, split, base):
        if limit is not None and len(items) >= limit:
            break
        rows += 1
        try:
            fresh = read_row(_object(row, where), where, default_id=default_id)
            _admit(fresh, where, seen, labeled)
        except DataError as error:
            if on_bad_row is OnBadRow.FAIL:
                raise
            skipped.append(str(error))
        else:
            items += fresh
            seen.update(_bare(item).id for item in fresh)
    if not items:
        reason = f"; the first reason: {skipped[0]}" if skipped else ""
        raise DataError(f"{source}: no usable comparison in {rows} rows{reason}")
    items = items[:limit]
    return Loaded(tuple(items), LoadReport(source, rows, len(items), tuple(skipped)))


def _bare(item: LabeledComparison | Comparison) -> Comparison:
    return item.comparison if isinstance(item, LabeledComparison) else item


def _admit(fresh: list[LabeledComparison | Comparison], where: str, seen: set[str], labeled: bool) -> None:
    for item in fresh:
        if labeled and not isinstance(item, LabeledComparison):
            raise DataError(f"{where}: has no label, and labelled comparisons are needed here")
        if _bare(item).id in seen:
            raise DataError(f"{where}: the id {_bare(item).id!r} occurs a second time")


def _object(row: object, where: str) -> dict[str, object]:
    if isinstance(row, DataError):
        raise row
    if not isinstance(row, dict):
        raise DataError(f"{where}: is not a JSON object")
    return row
