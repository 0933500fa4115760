"""What a probe does: it changes a rationale in one way, to see whether the verdict follows it."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label, LabeledComparison


class Intervention:
    """One way to change a rationale (after Lanham et al. 2023, *Measuring faithfulness in chain-of-thought reasoning*).

    Args:
        name: of the probe in files.
        title: the same in tables.
        place: where it stands in them, from left to right.
    """

    def __init__(self, name: str, title: str, place: int = 100) -> None:
        self.name, self.title, self.place = name, title, place

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str | None:
        """The changed rationale of one of the examples; None where this change cannot be made."""
        raise NotImplementedError

    def concludes(self, examples: Sequence[LabeledComparison], index: int) -> Label | None:
        """The label that the changed rationale concludes, where it concludes another than before; None elsewhere."""
        return None


def text_of(example: LabeledComparison) -> str:
    """The rationale as it is."""
    return example.rationale or ""
