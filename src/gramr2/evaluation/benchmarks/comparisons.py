"""Any file of labelled comparisons, in every format that gramr2 reads."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import LabeledComparison
from gramr2.data.rows import read_row
from gramr2.evaluation.benchmarks.base import Accuracies
from gramr2.evaluation.benchmarks.columns import Place, Row
from gramr2.evaluation.benchmarks.items import Item, Pair
from gramr2.messages import BadRowError


class Comparisons(Accuracies):
    """Accuracy over all comparisons; a tie is a label like the others."""

    name = "comparisons"
    measures = "whatever the file has"
    asks = "the labelled comparisons of a file"
    metric = "accuracy by category and over all items"
    layout = "every format of docs/data.md"
    verified = "a fixture by hand"
    licence = "the file's"
    home = "your own files"

    def is_own(self, row: Row) -> bool:
        return False

    def read(self, row: Row, place: Place) -> Sequence[Item]:
        found = read_row(row, place.part, default_id=place.default_id)
        if not all(isinstance(each, LabeledComparison) for each in found):
            raise BadRowError("it has no label")
        return [Pair(each.comparison, each.label) for each in found if isinstance(each, LabeledComparison)]


COMPARISONS = Comparisons()
