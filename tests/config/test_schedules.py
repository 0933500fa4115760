"""Schedules: their values by round, their bounds, and the quantile of a round's scores."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.config.schedules import Quantile
from gramr2.selftraining.filters.base import FilterContext
from gramr2.selftraining.filters.confidence import Confidence
from gramr2.selftraining.filters.rationale import Rationale


def in_force(value: Any, number: int, rounds: int = 3, scores: tuple[float, ...] = (), **stage: Any) -> float:
    config = Confidence.model_validate({"kind": "confidence", "threshold": value})
    return FilterContext(number=number, rounds=rounds, **stage).limit(
        "confidence.threshold", config.threshold, scores, strict=1.0
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.8, [0.8, 0.8, 0.8]),
        ({"schedule": "linear", "start": 0.9, "end": 0.5}, [0.9, 0.7, 0.5]),
        ({"schedule": "steps", "values": [0.9, 0.6]}, [0.9, 0.6, 0.6]),
        ({"schedule": "quantile", "start": 0.5, "end": 0.0}, [0.6, 0.4, 0.2]),
    ],
)
def test_values_by_round(value: Any, expected: list[float]) -> None:
    assert [in_force(value, n, scores=(0.8, 0.2, 0.4, 0.6)) for n in (1, 2, 3)] == pytest.approx(expected)


def test_one_round_starts_strict() -> None:
    assert in_force({"schedule": "linear", "start": 0.9, "end": 0.5}, 1, rounds=1) == 0.9


def test_an_upper_bound_takes_the_quantile_from_the_other_end() -> None:
    config = Rationale.model_validate({"max_repetition": {"schedule": "quantile", "start": 0.5, "end": 0.5}})
    stage = FilterContext(number=1, rounds=1)
    limit = stage.limit("r", config.max_repetition, [0.0, 0.1, 0.2, 0.3], at_least=False, strict=0.0)
    assert limit == 0.1
    assert stage.thresholds == {"r": 0.1}


def test_a_quantile_of_nothing_bounds_nothing() -> None:
    assert in_force({"schedule": "quantile", "start": 0.5, "end": 0.5}, 1) == float("-inf")


@pytest.mark.parametrize(("tightenings", "expected"), [(0, 0.6), (1, 0.8), (2, 0.9)])
def test_roll_backs_move_a_threshold_towards_its_strict_end(tightenings: int, expected: float) -> None:
    assert in_force(0.6, 1, tightenings=tightenings) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 0.99))
def test_a_quantile_passes_at_least_the_share_it_promises(scores: list[float], share: float) -> None:
    limit = Quantile(schedule="quantile", start=share, end=share).at(1, 1, scores)
    assert sum(score >= limit for score in scores) >= (1 - share) * len(scores) - 1e-6
    assert sum(score < limit for score in scores) <= share * len(scores) + 1e-6


@pytest.mark.parametrize(
    "value",
    [
        1.1,
        {"schedule": "linear", "start": 0.9, "end": -0.1},
        {"schedule": "steps", "values": []},
        {"schedule": "steps", "values": [0.5, 2]},
        {"schedule": "quantile", "start": 1.0, "end": 0.5},
        {"schedule": "cosine", "start": 1.0, "end": 0.5},
        {"start": 1.0},
    ],
)
def test_what_is_out_of_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="threshold"):
        in_force(value, 1)
