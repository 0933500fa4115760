"""Neighbours in the standings meet, no pair twice: ⌈log₂ n⌉ rounds of n/2 comparisons."""

from __future__ import annotations

import random
from typing import ClassVar

from gramr2.rewards.tournaments.base import Pair, Play, Tournament


class Swiss(Tournament):
    """Each round pairs responses of similar score. An odd one out rests; none rests twice before all have rested once."""

    name: ClassVar[str] = "swiss"

    def comparisons(self, n: int) -> int:
        """Rounds times pairs per round, at most: in a late round some pairs may have been played already."""
        return _rounds(n) * (n // 2)

    def play(self, n: int, rng: random.Random) -> Play:
        lot = rng.sample(range(n), n)
        points, rests = [0.0] * n, [0] * n
        played: set[frozenset[int]] = set()
        for _ in range(_rounds(n)):
            standings = sorted(lot, key=lambda i: -points[i])
            if n % 2:
                resting = min(reversed(standings), key=lambda i: rests[i])
                rests[resting] += 1
                points[resting] += 0.5
                standings.remove(resting)
            pairs = _neighbours(standings, played)
            if not pairs:
                return
            results = yield pairs
            for (a, b), result in zip(pairs, results, strict=True):
                played.add(frozenset((a, b)))
                if result is not None:
                    points[a] += result
                    points[b] += 1 - result


def _rounds(n: int) -> int:
    return (n - 1).bit_length()


def _neighbours(standings: list[int], played: set[frozenset[int]]) -> list[Pair]:
    """Pair each response with the nearest one below that it has not met; a response that finds none is left out."""
    left, pairs = list(standings), []
    while left:
        first = left.pop(0)
        other = next((each for each in left if frozenset((first, each)) not in played), None)
        if other is not None:
            left.remove(other)
            pairs.append((first, other))
    return pairs
