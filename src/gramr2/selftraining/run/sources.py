"""Reading the data that a source of a run file names, before its ``limit`` is applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.data import SourceConfig
from gramr2.data import LoadReport, OnBadRow, in_part, load_labeled, load_unlabeled
from gramr2.errors import DataError

Item = TypeVar("Item", Comparison, LabeledComparison)


def read_labeled(
    source: SourceConfig, on_bad_row: OnBadRow, name: str | None = None
) -> tuple[tuple[LabeledComparison, ...], LoadReport]:
    """The labelled comparisons of a source's part; ``name`` is what ids of rows without one begin with.

    Raises:
        DataError: a bad row (with ``OnBadRow.FAIL``), or the part is empty.
    """
    items, report = load_labeled(source.path, on_bad_row=on_bad_row, layout=source, name=name)
    return _part(items, source, lambda item: item.comparison), report


def read_unlabeled(
    source: SourceConfig, on_bad_row: OnBadRow, name: str | None = None
) -> tuple[tuple[Comparison, ...], LoadReport]:
    """The comparisons of a source's part, without labels. Errors: see ``read_labeled``."""
    items, report = load_unlabeled(source.path, on_bad_row=on_bad_row, layout=source, name=name)
    return _part(items, source, lambda item: item), report


def id_names(sources: Sequence[SourceConfig]) -> list[str | None]:
    """What the ids of each source begin with: None for the usual file name, or as much of the path as tells two files apart.

    The first file of a name keeps it, so that ids do not change when a source is added.
    """
    names: dict[str, str] = {}
    for source in sources:
        if source.path not in names:
            parts = Path(source.path).parts
            ends = ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]
            names[source.path] = next((each for each in ends if each not in names.values()), source.path)
    return [None if names[each.path] == Path(each.path).name else names[each.path] for each in sources]


def _part(items: Sequence[Item], source: SourceConfig, comparison_of: Callable[[Item], Comparison]) -> tuple[Item, ...]:
    if source.part is None:
        return tuple(items)
    low, high = source.part
    found = tuple(item for item in items if in_part(comparison_of(item), low, high))
    if not found:
        raise DataError(
            f"{source.path}: none of its {len(items)} comparisons is in the part [{low:g}, {high:g}]: make the part larger"
        )
    return found
