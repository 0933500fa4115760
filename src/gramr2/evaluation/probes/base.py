"""What a probe does: it changes a rationale in one way, to see whether the verdict follows it."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label, LabeledComparison


class Intervention:
    """One way to change a rationale (after Lanham et al. 2023, *Measuring faithfulness in chain-of-thought reasoning*).

    Args:
        name: the probe's name in files.
        title: its name in tables.
        place: its position in tables, from left to right.
    """

    def __init__(self, name: str, title: str, place: int = 100) -> None:
        self.name, self.title, self.place = name, title, place

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str | None:
        """The changed rationale of one of the examples; None if this change cannot be made."""
        raise NotImplementedError

    def concludes(self, examples: Sequence[LabeledComparison], index: int) -> Label | None:
        """The label that the changed rationale concludes if it is another one than before; otherwise None."""
        return None


def text_of(example: LabeledComparison) -> str:
    """The rationale as it is."""
    return example.rationale or ""
