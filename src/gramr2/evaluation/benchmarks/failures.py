"""What the public scores make of an answer without a verdict. They differ, so a score is given under each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from gramr2.comparison import Label
from gramr2.evaluation.benchmarks.items import Choice, Pair, Placing, Verdict


class OnFailure(StrEnum):
    """What an answer without a verdict counts. A tie is a verdict, and where one response is better it is wrong."""

    WRONG = "wrong"
    """as a wrong one"""
    HALF = "half"
    """0.5 for a pair and 1/n for n responses, as in RewardBench's generative scripts"""
    DRAWN = "drawn"
    """a coin decides; the score is its expected value"""
    NO_VOTE = "no-vote"
    """as nothing, beside the verdict of the other order"""
    LEFT_OUT = "left-out"
    """the item is left out of the score and lowers the coverage"""


LINEAR = (OnFailure.WRONG, OnFailure.HALF, OnFailure.DRAWN, OnFailure.LEFT_OUT)
"""the policies of a score that is a mean over answers; half and drawn are the same number there"""


def credit(said: Label | None, truth: Label, policy: OnFailure) -> float | None:
    """What the answer in one order counts: 1 if it is the true label, 0 if it is another; None if it is left out."""
    if said is not None:
        return float(said is truth)
    return {OnFailure.WRONG: 0.0, OnFailure.LEFT_OUT: None}.get(policy, 0.5)


def pair_credit(item: Pair, verdict: Verdict, policy: OnFailure) -> float | None:
    """The mean over the orders that were asked: what a score that draws the order of each item is, in expectation.

    None if nothing is left of it, or nobody knows the truth.
    """
    if item.label is None:
        return None
    orders = verdict.orders
    if len(orders) == 2 and orders[0] is orders[1]:
        return credit(orders[0], item.label, policy)
    return mean([credit(said, item.label, policy) for said in orders])


def top_credit(item: Choice, placing: Placing, policy: OnFailure) -> float | None:
    """1 if a chosen response alone is first, 1/k if it shares the first place with k − 1 others of which none is chosen too."""
    tops = placing.tops
    if tops is not None:
        return len(tops & item.chosen) / len(tops)
    shares = {OnFailure.WRONG: 0.0, OnFailure.HALF: 1 / item.size, OnFailure.DRAWN: len(item.chosen) / item.size}
    return shares.get(policy)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is there; None if nothing is."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else None


def means(values: Sequence[float | None], keys: Sequence[str]) -> dict[str, float | None]:
    """The mean for each key, in the order in which keys first occur."""
    found: dict[str, list[float | None]] = {}
    for value, key in zip(values, keys, strict=True):
        found.setdefault(key, []).append(value)
    return {key: mean(each) for key, each in found.items()}
