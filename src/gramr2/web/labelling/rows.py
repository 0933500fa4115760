"""A person's answer as a row of a seed file, in an order of the responses in which its label and its reason are right.

A row is in the order of the data wherever its reason can be turned with the responses. A reason that names them in another way
than “Response A”, such as “A is right” or “the left one”, stays as it was written, and so its row is as it was shown:
``metadata.shown`` is the order on the screen, ``metadata.stored`` that of the row. Rows of older files have no ``stored``: they
are in the order of the data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.judging.records import labeled_row
from gramr2.mentions import has_bare_mentions, swap_mentions

_SIDES = re.compile(r"\b(?:left|right|first|second|former|latter)\b", re.IGNORECASE)


def row_of(
    comparison: Comparison, label: Label, reason: str | None, shown: Order, annotator: str | None
) -> dict[str, Any]:
    """The row of an answer.

    Args:
        comparison: in the order of the data.
        label: ``A`` is the response that was on the left.
        reason: the person's, about the responses as shown.
        shown: the order on the screen.
        annotator: who answered; the row's id ends in the name, so that labels of several annotators may be in one run.
    """
    if annotator is not None:
        comparison = replace(comparison, id=f"{comparison.id}/{annotator}")
    stored = shown if reason is not None and not _turns(reason) else Order.AB
    said = LabeledComparison(comparison.shown(shown), label, reason, annotator=annotator)
    row = labeled_row(said if stored is shown else said.swap())
    return row | {"metadata": {"shown": shown.value, "stored": stored.value}}


def order_of(row: Mapping[str, Any]) -> Order:
    """The order of a row's responses."""
    return Order(row.get("metadata", {}).get("stored", Order.AB))


def label_of(row: Mapping[str, Any]) -> Label:
    """A row's label, for the order of the data."""
    label = Label(row["label"])
    return label if order_of(row) is Order.AB else label.swap()


def reason_of(row: Mapping[str, Any], order: Order) -> tuple[str | None, Order]:
    """A row's reason, about the responses in ``order``, and that order; or as it was written, with the order on the screen."""
    stored, reason = order_of(row), row["rationale"]
    shown = Order(row.get("metadata", {}).get("shown", stored))
    # Turning is its own inverse, also where a row of an older file should not have been turned.
    written = reason if reason is None or stored is shown else swap_mentions(reason)
    if written is None or shown is order:
        return written, order
    return (swap_mentions(written), order) if _turns(written) else (written, shown)


def _turns(reason: str) -> bool:
    """Whether a reason names the responses, and only in the way that ``swap_mentions`` rewrites."""
    return swap_mentions(reason) != reason and not has_bare_mentions(reason) and _SIDES.search(reason) is None
