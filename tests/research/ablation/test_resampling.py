"""The two-way bootstrap on planted effects: it covers the truth, sees what is there, and clusters and seeds widen it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gramr2.evaluation.metrics import MIN_GROUPS, wilson
from gramr2.research.ablation.resampling import by_cluster, two_way

Table = NDArray[np.float64]


def differences(
    rng: np.random.Generator, effect: float, seeds: int, prompts: int, members: int, by_prompt: float, by_seed: float
) -> Table:
    """Right after minus right before, of two judges whose abilities differ by seed and by prompt: (seeds, comparisons)."""
    n = prompts * members
    hard = rng.normal(0, 1, n)
    gap = effect + rng.normal(0, by_seed, (seeds, 1)) + np.repeat(rng.normal(0, by_prompt, prompts), members)
    after = hard + gap / 2 + rng.normal(0, 1, (seeds, n)) > 0
    before = hard - gap / 2 + rng.normal(0, 1, (seeds, n)) > 0
    return after.astype(float) - before


def clusters(prompts: int, members: int) -> list[str]:
    return [f"p{i // members}" for i in range(prompts * members)]


@pytest.mark.parametrize(
    ("seeds", "by_seed", "low", "high"),
    [(1, 0.0, 0.92, 0.98), (3, 0.2, 0.92, 0.98), (5, 0.2, 0.92, 0.99), (3, 0.0, 0.95, 1.0)],
)
def test_zero_is_covered_when_nothing_differs(seeds: int, by_seed: float, low: float, high: float) -> None:
    rng = np.random.default_rng(5)
    names, trials = clusters(80, 3), 200
    found = [two_way(differences(rng, 0.0, seeds, 80, 3, 0.5, by_seed), names) for _ in range(trials)]
    assert low <= sum(each.low <= 0 <= each.high for each in found) / trials <= high
    # The p-value says the same as the interval.
    agree = sum((each.p_value < 0.05) == (not each.low <= 0 <= each.high) for each in found)
    assert agree >= 0.97 * trials


@pytest.mark.parametrize(("seeds", "by_seed", "low", "high"), [(3, 0.5, 0.78, 0.92), (1, 0.2, 0.65, 0.82)])
def test_what_few_seeds_do_not_show(seeds: int, by_seed: float, low: float, high: float) -> None:
    """The limits that docs/lab.md states: seeds that differ by 15 points, and one seed where they differ by 6."""
    rng = np.random.default_rng(5)
    found = [two_way(differences(rng, 0.0, seeds, 80, 3, 0.5, by_seed), clusters(80, 3)) for _ in range(200)]
    assert low <= sum(each.low <= 0 <= each.high for each in found) / 200 <= high


def test_a_planted_difference_of_ten_points_is_found() -> None:
    rng = np.random.default_rng(1)
    found = [two_way(differences(rng, 0.36, 3, 120, 3, 0.3, 0.1), clusters(120, 3)) for _ in range(60)]
    assert np.mean([each.value for each in found]) == pytest.approx(0.1, abs=0.015)
    assert sum(each.low > 0 and each.p_value < 0.05 for each in found) >= 54
    assert sum(each.low <= 0.1 <= each.high for each in found) >= 54


def test_clusters_and_seeds_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    clustered = differences(rng, 0.0, 1, 60, 6, 2.0, 0.0)
    alone, together = (two_way(clustered, names) for names in (clusters(360, 1), clusters(60, 6)))
    assert together.high - together.low > 1.3 * (alone.high - alone.low)
    assert together.value == alone.value
    # Of seeds that agree the interval is that of one of them; of seeds that do not it is wider.
    agree, differ = np.repeat(clustered, 3, axis=0), clustered + np.array([[-0.2], [0.0], [0.2]])
    same, wider = two_way(agree, clusters(60, 6)), two_way(differ, clusters(60, 6))
    assert same.high - same.low == pytest.approx(together.high - together.low, rel=0.05)
    assert wider.high - wider.low > 1.3 * (same.high - same.low)


def test_against_a_bootstrap_written_out() -> None:
    """Clusters of different sizes, resampled one at a time with loops."""
    rng = np.random.default_rng(3)
    names = [f"p{i}" for i in range(14) for _ in range(1 + i % 4)]
    values = rng.choice([-1.0, 0.0, 1.0], size=(3, len(names)), p=[0.2, 0.5, 0.3])
    members = {name: [i for i, each in enumerate(names) if each == name] for name in names}
    means = []
    for _ in range(4000):
        rows = rng.integers(3, size=3)
        columns = [i for pick in rng.integers(14, size=14) for i in members[f"p{pick}"]]
        means.append(values[np.ix_(rows, columns)].mean())
    found = two_way(values, names)
    assert found.value == values.mean()
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.02)
    shares = (np.mean(np.array(means) <= 0), np.mean(np.array(means) >= 0))
    assert found.p_value == pytest.approx(2 * min(shares), abs=0.02)


def test_the_same_values_give_the_same_interval() -> None:
    values = [[1.0, 0.0, -1.0] * 10]
    assert two_way(values, clusters(10, 3)) == two_way(values, clusters(10, 3))


def test_clusters_that_all_say_the_same_leave_room_for_others() -> None:
    other = wilson(0, 10).high
    nothing = two_way([[0.0] * 30] * 2, clusters(10, 3))
    assert (nothing.value, nothing.low, nothing.high) == (0.0, pytest.approx(-other), pytest.approx(other))
    assert nothing.p_value == 1.0
    better = two_way([[1.0] * 30], clusters(10, 3))
    assert (better.low, better.high) == (pytest.approx(1 - 2 * other), 1.0)
    # All ten clusters on one side, of 2 ** 10 ways to lie, and as many on the other.
    assert better.p_value == two_way([[-1.0] * 30], clusters(10, 3)).p_value == pytest.approx(2 / 2**10)
    assert two_way([[1.0, 1.0, 1.0]], clusters(3, 1)).p_value == pytest.approx(0.25)
    accuracy = two_way([[1.0] * 30], clusters(10, 3), lowest=0.0)
    assert (accuracy.low, accuracy.high) == (pytest.approx(1 - other), 1.0)


def test_a_few_clusters_are_no_sample() -> None:
    assert by_cluster(clusters(MIN_GROUPS, 2))
    assert not by_cluster(clusters(MIN_GROUPS - 1, 2))
    assert not by_cluster(clusters(50, 1))
    values = [[1.0] * 20 + [0.0] * 20]
    assert two_way(values, ["a"] * 20 + ["b"] * 20) == two_way(values, clusters(40, 1))
