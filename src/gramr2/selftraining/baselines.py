from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison
from gramr2.selftraining.context import RunContext


def margins_of(context: RunContext, name: str, comparisons: Sequence[Comparison]) -> dict[str, float]:
    raise NotImplementedError
