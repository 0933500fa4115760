"""Accuracy without the items that ``gramr2 contamination`` found in the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.data.textfiles import text_rows
from gramr2.errors import DataError
from gramr2.evaluation.contamination import digest_of_texts
from gramr2.evaluation.metrics import Told, rates


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items to leave out: by a digest of their texts, or by id where a row has no digest."""

    file: Path
    digests: frozenset[str]
    ids: frozenset[str]

    @classmethod
    def read(cls, file: Path) -> LeftOut:
        """The items that a file of JSON lines names, such as ``--out`` of ``gramr2 contamination``.

        Raises:
            DataError: it cannot be read, or a line has neither a ``digest`` nor an ``id``.
        """
        digests, ids = set(), set()
        for where, _, row in text_rows(file):
            if isinstance(row, DataError):
                raise row
            digest, name = (row.get(key) if isinstance(row, dict) else None for key in ("digest", "id"))
            if isinstance(digest, str):
                digests.add(digest)
            elif isinstance(name, str):
                ids.add(name)
            else:
                raise DataError(f"{where}: names no item: a line of --without has a digest or an id, as text")
        return cls(file, frozenset(digests), frozenset(ids))

    def holds(self, comparison: Comparison) -> bool:
        """Whether the item is to be left out."""
        return comparison.id in self.ids or digest_of_texts(comparison) in self.digests

    def accuracy(self, items: Sequence[LabeledComparison], decisions: Sequence[Told], seed: int = 0) -> dict[str, Any]:
        """How a judge did on the other items, with ``left_out``, how many were left out. As in ``metrics.evaluate``, accuracy is
        over what was decided, and None if nothing was."""
        left = [(item, told) for item, told in zip(items, decisions, strict=True) if not self.holds(item.comparison)]
        found = rates([item for item, _ in left], [told for _, told in left], seed)
        return {"file": str(self.file), "left_out": len(items) - len(left), **asdict(found)}
