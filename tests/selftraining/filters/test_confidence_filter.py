"""Confidence: whose number counts, and what the threshold does to the numbers at it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from conftest import make, vote
from gramr2.comparison import Order
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.confidence import Confidence


def candidates(*confidences: float | None) -> list[Candidate]:
    """The judge's own probability is 0.9 of every label, whatever has been made of it."""
    decided = [
        decide(f"n{i}", [vote(Outcome.A, order, 0, (0.9, 0.1, 0.0)) for order in Order])
        for i in range(len(confidences))
    ]
    return [Candidate(make(each.id), each, value) for each, value in zip(decided, confidences, strict=True)]


def values(threshold: Any, *confidences: float | None, **context: Any) -> list[float | str | None]:
    """What was measured of those that are dropped; "kept" for the others."""
    items = candidates(*confidences)
    stage = FilterContext(**context)
    found = Confidence.model_validate({"threshold": threshold}).review(items, stage)
    assert all(isinstance(each, Rejection) or each is item for each, item in zip(found, items, strict=True))
    limits = {each.threshold for each in found if isinstance(each, Rejection)}
    assert limits <= {stage.thresholds.get("confidence.threshold")}
    return [each.value if isinstance(each, Rejection) else "kept" for each in found]


def test_the_calibrated_confidence_counts_not_the_judges_own() -> None:
    assert values(0.8, 0.79, 0.8, 0.81, 0.95) == [0.79, "kept", "kept", "kept"]
    assert values(0.95, 0.97) == ["kept"]


def test_a_value_that_differs_from_the_threshold_by_rounding_passes() -> None:
    assert values(0.3, 0.1 + 0.2, 0.3 - 1e-12, 0.29999) == ["kept", "kept", 0.3]


def test_nothing_known_is_no_confidence() -> None:
    assert values(0.1, None, 0.2) == [0.0, "kept"]
    assert values(0.0, None) == ["kept"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, [0.2, 0.4, 0.6, "kept"]), (2, [0.2, 0.4, "kept", "kept"]), (3, [0.2, "kept", "kept", "kept"])],
)
def test_a_quantile_lets_the_best_of_the_round_pass(number: int, expected: list[Any]) -> None:
    falling = {"schedule": "quantile", "start": 0.75, "end": 0.25}
    assert values(falling, 0.2, 0.4, 0.6, 0.8, number=number, rounds=3) == expected


def test_after_roll_backs_it_asks_for_more_and_at_last_for_certainty() -> None:
    asked = (0.7, 0.85, 0.95, 1.0)
    assert values(0.6, *asked, tightenings=1) == [0.7, "kept", "kept", "kept"]
    assert values(0.6, *asked, tightenings=2) == [0.7, 0.85, "kept", "kept"]
    assert values(0.6, *asked, tightenings=1, tighten_by=1.0) == [0.7, 0.85, 0.95, "kept"]


@pytest.mark.parametrize("calibrate", [True, False])
def test_it_says_whether_it_needs_held_out_comparisons(calibrate: bool) -> None:
    assert Confidence(calibrate=calibrate).calibrates is calibrate


@pytest.mark.parametrize("threshold", [0.0, 0.8, {"schedule": "quantile", "start": 0.5, "end": 0.5}])
def test_nan_passes_no_threshold(threshold: Any) -> None:
    items = candidates(math.nan, 0.9)
    found = Confidence.model_validate({"threshold": threshold}).review(items, FilterContext())
    assert isinstance(found[0], Rejection) and found[1] is items[1]
