"""What the response in first place is worth, where every response has a score."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from gramr2.evaluation.benchmarks.failures import OnFailure
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item, Placing

Worth = list[float | None]


def picked(items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> tuple[Worth, Worth, Worth]:
    """For each set the score of its pick, of a random one and of the best one.

    A shared first place is worth the mean of those who share it. A set that was not ranked as a whole is worth its lowest
    score if failures are wrong, a random pick's if they are drawn or count half, and nothing at all if they are left out.
    """
    got = worth(items, answers, policy)
    random: Worth = []
    oracle: Worth = []
    for item, own in zip(items, got, strict=True):
        scores = item.facts["scores"] if isinstance(item, Choice) else ()
        random.append(None if own is None else fmean(scores))
        oracle.append(None if own is None else max(scores))
    return got, random, oracle


def worth(items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Worth:
    """The score of each set's pick, as in ``picked``; None for what is no set."""
    return [
        _worth(item.facts["scores"], answer, policy)
        if isinstance(item, Choice) and isinstance(answer, Placing)
        else None
        for item, answer in zip(items, answers, strict=True)
    ]


def _worth(scores: Sequence[float], answer: Placing, policy: OnFailure) -> float | None:
    if answer.tops is not None:
        return fmean(scores[i] for i in answer.tops)
    return {OnFailure.WRONG: min(scores), OnFailure.LEFT_OUT: None}.get(policy, fmean(scores))
