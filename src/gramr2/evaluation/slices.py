"""What an accuracy is made of: calibration, and the same judge on parts of the items that a shortcut would treat differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.metrics import rated
from gramr2.evaluation.reliability import expected_calibration_error, reliability_bins
from gramr2.judgment import Decision

LONGER = 1.1
"""how many times as long a response is that counts as longer"""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the items: how many, how many of them were decided, and the accuracy of those with its 95 % interval."""

    n: int
    decided: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against right and wrong, over decided items that have a confidence.

    ``ece``: mean gap in ten bins (Naeini et al. 2015). ``brier``: mean squared difference of confidence and 0 or 1 (Brier 1950).
    """

    n: int
    ece: float | None
    brier: float | None
    bins: list[dict[str, float]]


Pair = tuple[LabeledComparison, Decision]


def by_length(item: LabeledComparison) -> str:
    """Which response is better: the longer or the shorter one, in characters."""
    if item.label is Label.TIE:
        return "tie"
    first, second = map(len, item.comparison.responses)
    better, worse = (first, second) if item.label is Label.A else (second, first)
    if better > LONGER * worse:
        return "longer is better"
    return "shorter is better" if worse > LONGER * better else "about as long"


def by_place(item: LabeledComparison) -> str:
    """Where the better response is stored."""
    places = {Label.A: "first is better", Label.B: "second is better", Label.TIE: "tie"}
    return places[item.label]


SLICES: Mapping[str, Callable[[LabeledComparison], str]] = {"length": by_length, "place": by_place}
"""name → the part that an item is in"""


def sliced(
    items: Sequence[LabeledComparison], decisions: Sequence[Decision], part: Callable[[LabeledComparison], str]
) -> dict[str, Slice]:
    """Each part by itself, in alphabetical order."""
    pairs = [*zip(items, decisions, strict=True)]
    return {
        name: slice_of([(i, d) for i, d in pairs if part(i) == name]) for name in sorted({part(i) for i, _ in pairs})
    }


def slice_of(pairs: Sequence[Pair], seed: int = 0) -> Slice:
    """The accuracy over the decided items."""
    decided = [(item, decision) for item, decision in pairs if decision.label is not None]
    right = [decision.label is item.label for item, decision in decided]
    return Slice(len(pairs), len(decided), *rated(right, [item.comparison.unit for item, _ in decided], seed))


def calibration(items: Sequence[LabeledComparison], decisions: Sequence[Decision]) -> Calibration:
    """How far the confidence of decisions can be believed."""
    pairs = [
        (decision.confidence, decision.label is item.label)
        for item, decision in zip(items, decisions, strict=True)
        if decision.label is not None and decision.confidence is not None
    ]
    bins = reliability_bins(pairs)
    brier = fmean((confidence - right) ** 2 for confidence, right in pairs) if pairs else None
    return Calibration(len(pairs), expected_calibration_error(bins), brier, [asdict(each) for each in bins])


def measures(items: Sequence[LabeledComparison], decisions: Sequence[Decision]) -> dict[str, Any]:
    """All of this module, as JSON."""
    parts = {
        name: {key: asdict(each) for key, each in sliced(items, decisions, part).items()}
        for name, part in SLICES.items()
    }
    return {"calibration": asdict(calibration(items, decisions)), "slices": parts}
