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
    got: Worth = []
    random: Worth = []
    oracle: Worth = []
    for item, answer in zip(items, answers, strict=True):
        if not isinstance(item, Choice) or not isinstance(answer, Placing):
            continue
        scores: Sequence[float] = item.facts["scores"]
        failed = {OnFailure.WRONG: min(scores), OnFailure.LEFT_OUT: None}.get(policy, fmean(scores))
        got.append(failed if answer.tops is None else fmean(scores[i] for i in answer.tops))
        random.append(None if got[-1] is None else fmean(scores))
        oracle.append(None if got[-1] is None else max(scores))
    return got, random, oracle
