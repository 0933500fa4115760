"""Confidence against accuracy on gold: bins with intervals, and the expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from gramr2.evaluation.metrics import wilson

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Comparisons of similar confidence: their mean confidence, accuracy with its Wilson interval, and number."""

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


def reliability_bins(pairs: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Ten bins of equal width over (confidence, whether right); empty ones are left out."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in pairs:
        members.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, right))
    bins: list[Bin] = []
    for _, group in sorted(members.items()):
        hits = sum(right for _, right in group)
        interval = wilson(hits, len(group))
        bins.append(Bin(fmean(c for c, _ in group), hits / len(group), interval.low, interval.high, len(group)))
    return bins


def expected_calibration_error(bins: Sequence[Bin]) -> float | None:
    """Mean gap between confidence and accuracy, weighted by the bins' sizes (Naeini et al. 2015); None without comparisons."""
    n = sum(each.n for each in bins)
    return sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / n if n else None
