"""A fixed number of comparisons, each chosen to be the most informative.

After a first lap that connects all responses, a Bradley-Terry model of the results so far says how certain each difference
is; the next pair is the one whose result is expected to narrow the posterior most (D-optimal design under the Laplace
approximation, in which the information of a comparison, p(1−p)·Var(θᵢ−θⱼ), does not depend on its outcome).
"""

from __future__ import annotations

import random
from typing import ClassVar

import numpy as np

from gramr2.errors import ConfigError
from gramr2.rewards.bradley_terry import fit, information
from gramr2.rewards.tournaments.base import Pair, Play, Tournament

BATCHES = 4
"""how often the model is refitted per n comparisons"""


class Budget(Tournament):
    """At most ``most`` comparisons, always the most informative one next."""

    name: ClassVar[str] = "budget"
    takes_budget: ClassVar[bool] = True

    def __init__(self, most: int = 32) -> None:
        if most < 1:
            raise ConfigError("a budget of comparisons must be at least 1")
        self.most = most

    @classmethod
    def with_budget(cls, most: int) -> Budget:
        return cls(most)

    def comparisons(self, n: int) -> int:
        """The budget, or all pairs if those are fewer."""
        return min(self.most, n * (n - 1) // 2)

    def play(self, n: int, rng: random.Random) -> Play:
        wins = np.zeros((n, n))
        lot = rng.sample(range(n), n)
        lap = list(zip(lot, [*lot[1:], lot[0]], strict=True))[: 1 if n == 2 else n]
        pairs = lap[: self.comparisons(n)]
        tried: set[frozenset[int]] = set()
        while pairs:
            results = yield pairs
            tried |= {frozenset(pair) for pair in pairs}
            for (a, b), result in zip(pairs, results, strict=True):
                if result is not None:
                    wins[a, b] += result
                    wins[b, a] += 1 - result
            wanted = min(max(1, n // BATCHES), self.comparisons(n) - len(tried))
            pairs = _most_informative(wins, tried, wanted)


def _most_informative(wins: np.ndarray, tried: set[frozenset[int]], wanted: int) -> list[Pair]:
    """The best pair, then the best one once that is played, and so on (greedy)."""
    n = len(wins)
    strengths = fit(wins)
    covariance = np.linalg.inv(information(wins, strengths))
    chances = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    weight = chances * (1 - chances)
    open_ = np.triu(np.ones((n, n), dtype=bool), 1)
    for pair in tried:
        a, b = sorted(pair)
        open_[a, b] = False
    chosen: list[Pair] = []
    while len(chosen) < wanted and open_.any():
        spread = np.diag(covariance)
        gain = np.where(open_, weight * (spread[:, None] + spread[None, :] - 2 * covariance), -1.0)
        a, b = divmod(int(gain.argmax()), n)
        chosen.append((a, b))
        open_[a, b] = False
        along = covariance[a] - covariance[b]
        covariance = covariance - weight[a, b] * np.outer(along, along) / (1 + gain[a, b])
    return chosen
