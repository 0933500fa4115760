"""Scores of single responses on the scale of pairwise verdicts: differences become log-odds of winning."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy.optimize import minimize_scalar

from gramr2.comparison import Comparison, SingleResponse
from gramr2.evaluation.metrics import wilson
from gramr2.judgment import Decision
from gramr2.randomness import fraction
from gramr2.rewards.ranking import result_of

MIN_PAIRS = 16
"""fewer say nothing reliable about a slope"""
_SLOPES = (0.0, 200.0)
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """P(a beats b) = 1 / (1 + exp(−slope · (score a − score b))), fitted to the judge's own verdicts on ``n`` pairs.

    ``agreement`` is the share of pairs in which the higher score belongs to the response that the verdict prefers, without ties
    of scores or verdicts, with Wilson's 95 % interval; the losses are mean cross-entropies in nats, ``nll_before`` with slope 0.
    """

    slope: float
    n: int
    compared: int
    agreement: float | None
    low: float | None
    high: float | None
    nll_before: float
    nll_after: float

    def strength(self, score: float) -> float:
        """A score in log-odds: the difference between two is the log-odds of winning."""
        return self.slope * score


def draw_pairs(items: Sequence[SingleResponse], count: int, seed: int) -> list[tuple[SingleResponse, SingleResponse]]:
    """At most ``count`` pairs of different responses to one prompt, drawn by the seed, whatever their order in ``items``."""
    by_prompt: dict[object, list[SingleResponse]] = defaultdict(list)
    for item in items:
        by_prompt[item.prompt].append(item)
    groups = (sorted(group, key=lambda item: item.id) for group in by_prompt.values())
    pairs = [(a, b) for group in groups for a, b in combinations(group, 2) if a.response != b.response]
    return sorted(pairs, key=lambda pair: fraction(seed, "pair", pair[0].id, pair[1].id))[:count]


def comparison_of(pair: tuple[SingleResponse, SingleResponse]) -> Comparison:
    """The pair as a comparison to be judged."""
    first, second = pair
    return Comparison(f"{first.id} {second.id}", first.prompt, (first.response, second.response))


def calibrate(
    pairs: Sequence[tuple[SingleResponse, SingleResponse]],
    decisions: Sequence[Decision],
    scores: Mapping[str, float | None],
) -> PairCalibration | None:
    """Fit the slope; None with fewer than 16 pairs that have both scores and a verdict.

    Args:
        pairs: as ``draw_pairs`` gives them.
        decisions: the judge's verdict on each.
        scores: by id; None where there is none.
    """
    found: list[tuple[float, float]] = []
    for (first, second), decision in zip(pairs, decisions, strict=True):
        a, b, result = scores.get(first.id), scores.get(second.id), result_of(decision)
        if a is not None and b is not None and result is not None:
            found.append((a - b, result))
    if len(found) < MIN_PAIRS:
        return None

    def loss(slope: float) -> float:
        total = 0.0
        for difference, result in found:
            chance = min(max(_sigmoid(slope * difference), _FLOOR), 1 - _FLOOR)
            total -= result * math.log(chance) + (1 - result) * math.log(1 - chance)
        return total / len(found)

    slope = float(minimize_scalar(loss, bounds=_SLOPES, method="bounded").x)
    told = [(difference > 0) == (result > 0.5) for difference, result in found if difference and result != 0.5]
    bounds = wilson(sum(told), len(told)) if told else None
    return PairCalibration(
        slope=slope,
        n=len(found),
        compared=len(told),
        agreement=sum(told) / len(told) if told else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        nll_before=loss(0.0),
        nll_after=loss(slope),
    )


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
