"""From results to a score per response: win rate, Bradley-Terry or Elo, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gramr2.rewards.bradley_terry import fit, information

_Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]
Z = 1.959964
RESAMPLES = 200
ELO_START, ELO_STEP, ELO_SCALE = 1000.0, 16.0, 400.0
ELO_SHUFFLES = 100
"""number of orders of the results that an Elo rating is averaged over: with a single one it depends on which came last"""


class Aggregation(StrEnum):
    """How results become scores."""

    WIN_RATE = "win-rate"
    """share of what a response could have scored; says little if some met stronger opponents than others"""
    BRADLEY_TERRY = "bradley-terry"
    """log-strength against an average response (0)"""
    ELO = "elo"
    """rating around 1000, 400 points for odds of ten to one"""


@dataclass(frozen=True, slots=True)
class Match:
    """One comparison of two responses: the score of the first (0 to 1), or None if the judge made no decision."""

    first: int
    second: int
    result: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A response's score with its 95 % interval; all None if nothing is known about it."""

    score: float | None
    low: float | None
    high: float | None


_NOTHING = Standing(None, None, None)


def standings(n: int, matches: Sequence[Match], how: Aggregation, seed: int = 0) -> list[Standing]:
    """A standing for each of ``n`` responses, in their order.

    95 % intervals: Wilson's for a win rate, the Laplace posterior for Bradley-Terry, a bootstrap over comparisons for Elo. They
    reflect the number of comparisons; a judge's systematic errors are not in them.
    """
    known = [match for match in matches if match.result is not None]
    first = np.array([match.first for match in known], dtype=int)
    second = np.array([match.second for match in known], dtype=int)
    result = np.array([match.result for match in known], dtype=float)
    if not known:
        return [_NOTHING] * n
    if how is Aggregation.ELO:
        scores, low, high = _elo(n, first, second, result, np.random.default_rng(seed))
    else:
        wins = np.zeros((n, n))
        np.add.at(wins, (first, second), result)
        np.add.at(wins, (second, first), 1 - result)
        scores, low, high = _win_rate(wins) if how is Aggregation.WIN_RATE else _bradley_terry(wins)
    met = set(first.tolist()) | set(second.tolist())
    return [Standing(float(scores[i]), float(low[i]), float(high[i])) if i in met else _NOTHING for i in range(n)]


def cycles(n: int, matches: Sequence[Match]) -> tuple[int, int]:
    """The number of cyclic triples (i beats j beats k beats i), and the number of triples in which each pair has a winner."""
    beats = np.zeros((n, n), dtype=int)
    for match in matches:
        if match.result is not None and match.result != 0.5:
            a, b = (match.first, match.second) if match.result > 0.5 else (match.second, match.first)
            beats[a, b] = 1
    either = beats + beats.T
    return int(np.trace(beats @ beats @ beats)) // 3, int(np.trace(either @ either @ either)) // 6


def _win_rate(wins: np.ndarray) -> _Estimate:
    games = np.maximum((wins + wins.T).sum(-1), 1e-12)
    share, z = wins.sum(-1) / games, Z**2 / games
    centre = (share + z / 2) / (1 + z)
    half = Z / (1 + z) * np.sqrt(share * (1 - share) / games + z / (4 * games))
    return share, centre - half, centre + half


def _bradley_terry(wins: np.ndarray) -> _Estimate:
    strengths = fit(wins)
    half = Z * np.sqrt(np.diag(np.linalg.inv(information(wins, strengths))))
    return strengths, strengths - half, strengths + half


def _elo(n: int, first: np.ndarray, second: np.ndarray, result: np.ndarray, rng: np.random.Generator) -> _Estimate:
    m = len(first)
    shuffled = [rng.permutation(m) for _ in range(ELO_SHUFFLES)]
    orders = np.array([*shuffled, *rng.integers(m, size=(RESAMPLES, m))])
    ratings = np.full((len(orders), n), ELO_START)
    rows = np.arange(len(orders))
    for match in orders.T:
        a, b = first[match], second[match]
        expected = 1 / (1 + 10 ** ((ratings[rows, b] - ratings[rows, a]) / ELO_SCALE))
        change = ELO_STEP * (result[match] - expected)
        ratings[rows, a] += change
        ratings[rows, b] -= change
    low, high = np.quantile(ratings[ELO_SHUFFLES:], (0.025, 0.975), axis=0)
    return ratings[:ELO_SHUFFLES].mean(axis=0), low, high
