"""The rationale taken away: does the verdict stand without it?"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import LabeledComparison
from gramr2.evaluation.probes.base import Intervention


class Removed(Intervention):
    """Nothing in the rationale's place."""

    def change(self, examples: Sequence[LabeledComparison], index: int) -> str:
        return ""


REMOVED = Removed("removed", "removed", 0)
