"""What a judge thinks of comparisons, as far as labelling needs it: from its decisions, or from the file that has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gramr2.comparison import Label
from gramr2.data.textfiles import text_rows
from gramr2.errors import DataError
from gramr2.mentions import turned

CERTAIN = 1.0
"""margin of a verdict that came without probabilities"""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A judge's decision of a comparison in its stored order; ``label`` is None where it decided nothing.

    ``margin`` is by how much the likeliest label is likelier than the next, 0 to 1. ``rationale`` speaks of the stored order too;
    one of the other order with a bare “A” or “B” cannot be turned, and is left out.
    """

    label: Label | None
    margin: float
    order_flip: bool | None = None
    probabilities: Mapping[str, float] | None = None
    rationale: str | None = None


class _Row(BaseModel):
    """What is read of a line that ``gramr2 judge`` wrote; it has more."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: str
    label: Label | None
    probabilities: dict[str, float] | None = None
    order_flip: bool | None = None
    rationale: str | None = None
    rationale_order: str | None = None


def opinion_of(row: Mapping[str, Any]) -> Opinion:
    """The opinion in a row of ``gramr2 judge`` (``gramr2.judging.records.decision_row``). Raises pydantic's ValidationError."""
    found = _Row.model_validate(row)
    rationale = turned(found.rationale) if found.rationale_order == "ba" else found.rationale
    return Opinion(found.label, _margin(found), found.order_flip, found.probabilities, rationale)


def read_opinions(file: Path) -> dict[str, Opinion]:
    """The opinions in a file that ``gramr2 judge`` wrote, by the id of the comparison.

    Raises:
        DataError: the file cannot be read, or is none of that kind.
    """
    found: dict[str, Opinion] = {}
    for where, _, row in text_rows(file):
        if isinstance(row, DataError):
            raise row
        try:
            name = str(row.get("id")) if isinstance(row, dict) else ""
            found[name] = opinion_of(row)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "the row"
            raise DataError(
                f"{where}: {field}: {first['msg']}: give the file that gramr2 judge --out wrote for these comparisons"
            ) from error
    return found


def _margin(row: _Row) -> float:
    if row.label is None:
        return 0.0
    if not row.probabilities:
        return CERTAIN
    first, *rest = sorted(row.probabilities.values(), reverse=True)
    return first - max(rest, default=0.0)
