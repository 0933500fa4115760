"""How many comparisons a paired test needs, and what a number of them shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.evaluation.power import comparisons_for, visible_difference


def test_a_textbook_case() -> None:
    # A fifth of the comparisons is discordant: 7.84 · 0.2 / 0.05².
    assert comparisons_for(0.05, 0.2) == 628
    assert visible_difference(0.2, 628) == pytest.approx(0.05, abs=1e-3)


def test_a_whole_number_is_not_rounded_up() -> None:
    assert comparisons_for(0.28, 0.1) == 10


@given(st.floats(0.01, 0.5), st.floats(0.01, 1))
def test_one_is_the_inverse_of_the_other(difference: float, discordant: float) -> None:
    n = comparisons_for(difference, discordant)
    assert visible_difference(discordant, n) <= difference * (1 + 1e-6)
    assert n == 1 or visible_difference(discordant, n - 1) > difference * (1 - 1e-6)
