"""Evaluations as if no judge could say tie: the likelier response in its place, on the items that have a better one."""

from __future__ import annotations

from dataclasses import replace

from gramr2.evaluation.log import Item, Log


def without_ties(log: Log) -> Log:
    """The evaluation with the items that have a better response, each with the likelier of the two as the judge's label.

    Where both are equally likely the label stays a tie, which is wrong; a judge that gave no probabilities keeps its label.
    """
    return replace(log, items=tuple(_decided(item) for item in log.items if item.expected != "tie"))


def _decided(item: Item) -> Item:
    belief = item.probabilities
    if belief is None:
        return item
    label = "tie" if belief["A"] == belief["B"] else "A" if belief["A"] > belief["B"] else "B"
    return item.model_copy(update={"label": label, "right": label == item.expected})
