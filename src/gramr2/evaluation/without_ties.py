"""Judgments as if the judge could not say tie, on the items that are not labelled as ties.

For models that say tie where the data never do, such as a scalar model whose margin was fitted elsewhere: each tie is wrong
there, and the accuracy says more of the margin than of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gramr2.evaluation.log import Item, Log
from gramr2.evaluation.metrics import rated
from gramr2.evaluation.slices import Slice


def without_ties(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with a better response; where the judge says tie, its label is the likelier of the two.

    It stays a tie, which is wrong, where both are equally likely in the item's probabilities, or the judge gave none. Whether the
    orders agree is not known of the new labels.
    """
    return tuple(_decided(item) for item in items if item.expected != "tie")


def accuracy_without_ties(items: Sequence[Item]) -> Slice:
    """The accuracy over them."""
    found = without_ties(items)
    decided = [item for item in found if item.right is not None]
    units = [item.labeled().comparison.unit for item in decided]
    return Slice(len(found), len(decided), *rated([bool(item.right) for item in decided], units))


def of_log(log: Log) -> Log:
    """An evaluation with these items in place of its own."""
    return replace(log, items=without_ties(log.items))


def _decided(item: Item) -> Item:
    belief = item.probabilities
    if item.label != "tie" or belief is None or belief["A"] == belief["B"]:
        return item.model_copy(update={"order_flip": None})
    label = "A" if belief["A"] > belief["B"] else "B"
    return item.model_copy(update={"label": label, "right": label == item.expected, "order_flip": None})
