"""The seconds of a batch, learnt from those before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.serving.costs import Costs


def learnt(*batches: tuple[int, float]) -> Costs:
    costs = Costs()
    for work, seconds in batches:
        costs.observe(work, seconds)
    return costs


def test_before_anything_is_measured_time_is_as_long_as_the_text() -> None:
    assert Costs().seconds(5000) == pytest.approx(0.5)
    assert Costs().fixed is None
    assert Costs().limit(5000, 4) == pytest.approx(2.0)


@pytest.mark.parametrize(("fixed", "each"), [(2.0, 0.0), (1.0, 1e-3), (0.0, 1e-3)])
def test_both_parts_are_found(fixed: float, each: float) -> None:
    costs = learnt(*((work, fixed + each * work) for work in (500, 4000, 1000, 2000)))
    assert costs.fixed == pytest.approx(fixed, abs=1e-9)
    assert costs.seconds(8000) == pytest.approx(fixed + 8000 * each)
    assert costs.limit(1000, 4) == pytest.approx(costs.seconds(1000) + 4 * fixed), (
        "nothing is gained where nothing is fixed"
    )


def test_batches_of_one_size_tell_nothing_of_the_fixed_part() -> None:
    costs = learnt((1000, 1.0), (1001, 1.3), (999, 0.7))
    assert costs.fixed is None
    assert costs.limit(1000, 4) == pytest.approx(4 * costs.seconds(1000))
    assert costs.seconds(2000) == pytest.approx(2.0, rel=0.1)


def test_what_is_slower_with_less_to_do_is_no_negative_time() -> None:
    costs = learnt((1000, 2.0), (4000, 1.0))
    assert costs.fixed == pytest.approx(1.5, rel=0.1)
    assert costs.seconds(100_000) == costs.fixed


def test_the_last_batches_count_most() -> None:
    slow = [(work, work * 1e-3) for work in (500, 1000) * 50]
    fast = [(work, work * 1e-5) for work in (500, 1000) * 50]
    assert learnt(*slow, *fast).seconds(1000) == pytest.approx(0.01, rel=0.1)


@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 1e5)), min_size=1, max_size=30), st.integers(1, 10**9))
def test_no_time_is_negative_and_more_takes_as_long_at_least(batches: list[tuple[int, float]], work: int) -> None:
    costs = learnt(*batches)
    assert 0 <= costs.seconds(work) <= costs.seconds(2 * work)
    assert costs.limit(work, 4) >= costs.seconds(work)
    assert costs.pace > 0
