"""Always the longer response, in characters. It needs no labels, and beats many a judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gramr2.baselines.base import Kind, Setting
from gramr2.baselines.files import write
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.judging.preference import CERTAIN, Ties, decided
from gramr2.judgment import Decision

NAME = "longer"


class Longer:
    """Certain of the longer response; equal lengths tie."""

    id = NAME

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """±50: the length says which response, not with what certainty."""
        found = []
        for comparison in comparisons:
            first, second = map(len, comparison.responses)
            found.append(CERTAIN * ((first > second) - (first < second)))
        return found

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return decided(comparisons, self.margins(comparisons), Ties())

    def save(self, folder: Path) -> None:
        """See ``Baseline``."""
        write(folder, {"name": NAME})


def fit(labeled: Sequence[LabeledComparison], setting: Setting) -> Longer:
    """There is nothing to learn."""
    return Longer()


def load(folder: Path, setting: Setting | None) -> Longer:
    """There is nothing to read."""
    return Longer()


KIND = Kind(NAME, fit, load, needs_seed=False)
