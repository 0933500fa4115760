"""Warnings at the end of a run, on both sides of each limit."""

from __future__ import annotations

import pytest

from conftest import labeled
from gramr2.comparison import Label
from gramr2.evaluation.metrics import PairedTest, paired_test
from gramr2.selftraining.gate.warnings import needed, warnings_of


def test_of(only_before: int, only_after: int, n: int) -> PairedTest:
    """Two judges of whom each alone is right on so many of n items."""
    items = [labeled(str(i), Label.A) for i in range(n)]
    right, wrong = Label.A, Label.B
    before = [right] * only_before + [wrong] * only_after + [right] * (n - only_before - only_after)
    after = [wrong] * only_before + [right] * (n - only_before)
    return paired_test(items, before, after)


test_of.__test__ = False  # type: ignore[attr-defined]


def sentences(tests: dict[str, PairedTest], n: int, flips: float | None = 0.0) -> str:
    found = warnings_of(tests, n, flips)
    for each in found:
        assert each.endswith(".")
        assert each.count(". ") == 0
    return "\n".join(found)


@pytest.mark.parametrize(("won", "warned"), [(24, False), (22, True)])
def test_the_judge_must_be_significantly_above_the_baseline(won: int, warned: bool) -> None:
    # 24 against 10: exact McNemar p = 0.024; 22 against 10: p = 0.0501.
    test = test_of(10, won, 10_000)
    assert (test.p_value >= 0.05) is warned
    text = sentences({"bag-of-words": test}, 10_000)
    assert ("not significantly better on gold than the baseline bag-of-words" in text) is warned
    if warned:
        assert (
            f"{100 * test.difference:+.1f} points, 95 % interval {100 * test.low:+.1f} to {100 * test.high:+.1f}"
            in text
        )
        assert "p = 0.050" in text


def test_a_judge_that_is_worse_is_told_so() -> None:
    assert "is significantly worse on gold than the baseline longer" in sentences(
        {"longer": test_of(24, 10, 9999)}, 9999
    )


def test_the_best_baseline_is_the_one_to_beat() -> None:
    tests = {
        "longer": test_of(0, 40, 5000),
        "frozen-features": test_of(30, 31, 5000),
        "bag-of-words": test_of(0, 20, 5000),
    }
    text = sentences(tests, 5000)
    assert "frozen-features" in text
    assert "longer" not in text


def test_gold_must_be_large_enough_to_show_five_points() -> None:
    # d = 0.25: 7.84 · 0.25 / 0.0025 = 784.
    enough, few = test_of(96, 100, 784), test_of(90, 105, 780)
    assert needed(enough, 784) == 784
    assert needed(few, 780) == 784
    assert "Gold is too small" not in sentences({"longer": enough}, 784)
    text = sentences({"longer": few}, 780)
    assert "exactly one of the final judge and the baseline longer is right on 25.0 % of it" in text
    assert "needs about 784 comparisons and has 780" in text
    assert needed(test_of(0, 0, 20), 20) == 0
    seed = test_of(0, 30, 780)
    assert "Gold is too small" not in "\n".join(warnings_of({"longer": few}, 780, 0.0, since_seed=seed))
    assert "exactly one of the final judge and the seed judge is right on 21.4 % of it" in "\n".join(
        warnings_of({"longer": test_of(0, 40, 140)}, 140, 0.0, since_seed=test_of(0, 30, 140))
    )


@pytest.mark.parametrize(("flips", "warned"), [(0.5, False), (0.51, True), (None, False)])
def test_order_flips_above_half(flips: float | None, warned: bool) -> None:
    text = sentences({}, 10, flips)
    assert ("when the responses are swapped" in text) is warned
    assert ("51.0 %" in text) is warned


def test_the_level_is_the_runs() -> None:
    test = {"longer": test_of(10, 24, 2000)}
    loose, strict = (warnings_of(test, 50_000, 0.0, alpha=alpha) for alpha in (0.05, 0.01))
    assert (len(loose), len(strict)) == (0, 1)
