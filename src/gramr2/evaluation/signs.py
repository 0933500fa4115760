"""Whether paired differences are above zero as often as below: tests by their signs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gramr2.randomness import derive_seed

EXACT, FLIPS = 16, 9999


def exact_test(differences: Sequence[float]) -> float:
    """McNemar's exact test: the two-sided p-value of paired differences being above zero as often as below. Items count as
    independent."""
    from scipy.stats import binomtest

    won, lost = sum(each > 0 for each in differences), sum(each < 0 for each in differences)
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def flipped_test(differences: Sequence[float], groups: Sequence[str | None], seed: int = 0) -> float:
    """Two-sided p-value of a mean of paired differences, by flipping the signs of whole groups: all ways of up to 16 groups that
    differ, 9,999 drawn ones of more. For differences of −1, 0 and 1 without groups it is McNemar's test."""
    import numpy as np

    members: dict[str, float] = defaultdict(float)
    for index, (group, difference) in enumerate(zip(groups, differences, strict=True)):
        members[group if group is not None else f"\x00{index}"] += difference
    sums = np.array([each for each in members.values() if abs(each) > 1e-12])
    if not len(sums):
        return 1.0
    reached = abs(float(sums.sum())) - 1e-9
    if len(sums) <= EXACT:
        ways = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1) * 2 - 1
        return float((np.abs(ways @ sums) >= reached).mean())
    rng = np.random.default_rng(derive_seed(seed, "flipped"))
    hits = sum(
        int((np.abs(rng.choice([-1.0, 1.0], size=(FLIPS // 9, len(sums))) @ sums) >= reached).sum()) for _ in range(9)
    )
    return (1 + hits) / (1 + FLIPS)
