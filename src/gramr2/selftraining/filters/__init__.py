"""Which pseudo-labels are good enough to learn from.

A new filter is a file with a class that has ``name`` and ``review``, its entry in ``gramr2.config.filters``, its line in
``build``, and a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.config.filters import (
    BalanceFilter,
    ConfidenceFilter,
    ConsistencyFilter,
    DuplicatesFilter,
    FilterConfig,
    HistoryFilter,
    RationaleFilter,
    ReadingsFilter,
    SecondViewFilter,
    SpecificFilter,
    SupportFilter,
    TransitivityFilter,
    place_of_rationales,
)
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.abstention import Abstention
from gramr2.selftraining.filters.balance import Balance
from gramr2.selftraining.filters.base import Filter, FilterContext, Rejection
from gramr2.selftraining.filters.confidence import Confidence
from gramr2.selftraining.filters.consistency import Consistency
from gramr2.selftraining.filters.duplicates import Duplicates
from gramr2.selftraining.filters.history import History
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.readings import Readings
from gramr2.selftraining.filters.second_view import SecondView
from gramr2.selftraining.filters.specific import Specific
from gramr2.selftraining.filters.support import Support
from gramr2.selftraining.filters.transitivity import Transitivity

__all__ = ["Filter", "FilterContext", "Rejection", "apply_filters", "build"]


def build(configs: Sequence[FilterConfig], lessons: Filter | None = None) -> list[Filter]:
    """The stack for a config: ``Abstention`` in front, ``lessons`` before the first filter that looks at more than decisions."""
    place = place_of_rationales([config.kind for config in configs])
    stack = [_filter(config) for config in configs]
    return [Abstention(), *stack[:place], *([lessons] if lessons else []), *stack[place:]]


def _filter(config: FilterConfig) -> Filter:
    match config:
        case ConfidenceFilter():
            return Confidence(config)
        case ConsistencyFilter():
            return Consistency(config)
        case ReadingsFilter():
            return Readings(config)
        case SecondViewFilter():
            return SecondView(config)
        case TransitivityFilter():
            return Transitivity(config)
        case HistoryFilter():
            return History(config)
        case RationaleFilter():
            return Rationale(config)
        case SupportFilter():
            return Support(config)
        case SpecificFilter():
            return Specific(config)
        case DuplicatesFilter():
            return Duplicates(config)
        case BalanceFilter():
            return Balance(config)


def apply_filters(
    stack: Sequence[Filter], candidates: Sequence[Candidate], context: FilterContext
) -> tuple[list[Candidate], list[tuple[Candidate, Rejection]]]:
    """Kept candidates, and dropped ones with the first rejection of each; both in the order given.

    A filter sees only what the filters before it have let pass.
    """
    left = list(candidates)
    rejections: dict[str, tuple[Candidate, Rejection]] = {}
    for each in stack:
        if not left:
            break
        passed: list[Candidate] = []
        for candidate, verdict in zip(left, each.review(left, context), strict=True):
            if isinstance(verdict, Rejection):
                rejections[candidate.comparison.id] = (candidate, verdict)
            else:
                passed.append(verdict)
        left = passed
    return left, [rejections[c.comparison.id] for c in candidates if c.comparison.id in rejections]
