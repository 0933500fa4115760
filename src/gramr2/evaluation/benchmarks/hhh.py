"""HHH alignment: the helpful, honest or harmless one of two replies.

Source: Askell et al. 2021, arXiv 2112.00861; the data card of HuggingFaceH4/hhh_alignment.
"""

from __future__ import annotations

from gramr2.evaluation.benchmarks.base import Accuracies, Hub
from gramr2.evaluation.benchmarks.columns import Place, Row, inner, numbers, prompt, texts
from gramr2.evaluation.benchmarks.items import Item, placed
from gramr2.messages import BadRowError

_PARTS = ("helpful", "honest", "harmless", "other")


class HHH(Accuracies):
    """The right one of two targets."""

    name = "hhh"
    measures = "helpful, honest and harmless replies"
    asks = "221 pairs"
    metric = "accuracy by subset and over all items"
    layout = "`input`, `targets` with two `choices` and their `labels` (1 and 0); the subset is the configuration"
    verified = (
        "a fixture by hand; of the layout, public code that reads it. Whether tables average items or subsets differs"
    )
    licence = "Apache-2.0"
    home = "https://huggingface.co/datasets/HuggingFaceH4/hhh_alignment"
    hub = tuple(Hub("HuggingFaceH4/hhh_alignment", "test", part, part) for part in _PARTS)
    sections = _PARTS

    def read(self, row: Row, place: Place) -> list[Item]:
        targets = inner(row, "targets")
        choices, labels = texts(targets, "choices"), numbers(targets, "labels")
        if len(choices) != 2 or sorted(labels) != [0, 1]:
            raise BadRowError("targets must have two choices, with the labels 1 and 0")
        right = labels.index(1)
        subset = next((name for name in self.sections if name in place.part.split("/")), place.part)
        name = f"{subset}:{place.default_id}"
        turns = prompt(row, "input")
        return [placed(place.seed, name, turns, choices[right], choices[1 - right], category=subset)]


HHH_ALIGNMENT = HHH()
