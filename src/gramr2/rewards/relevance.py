"""The chance of each text to beat an average other one for the same prompt, at a cost that grows with their number."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.judging.preference import PreferenceModel
from gramr2.rewards.groups import Group, Rewards, WinRateReward
from gramr2.rewards.tournaments import Budget, RoundRobin, Tournament

PER_TEXT = 4
"""comparisons for each text of a long list; up to nine texts, all pairs are no more than that"""


def bounded(n: int) -> Tournament:
    """All pairs of up to nine texts; of more, the most informative ones, four for each text."""
    return RoundRobin() if n * (n - 1) // 2 <= PER_TEXT * n else Budget(PER_TEXT * n)


def comparisons_for(groups: Sequence[Group]) -> int:
    """The number of comparisons that ``relevance`` takes at most."""
    distinct = [len(set(group.completions)) for group in groups]
    return sum(bounded(n).comparisons(n) for n in distinct if n > 1)


def relevance(judge: PreferenceModel, groups: Sequence[Group], seed: int = 0) -> list[Rewards]:
    """The chances, from 0 to 1, of the texts of each group; None where the judge did not decide.

    Raises:
        DataError: a group has fewer than 2 or more than 64 texts.
    """
    # Groups that are judged in the same way are judged together.
    kinds: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        n = len(set(group.completions))
        kinds.setdefault(0 if isinstance(bounded(n), RoundRobin) else n, []).append(place)
    found: dict[int, Rewards] = {}
    for n, places in kinds.items():
        rewards = WinRateReward(judge, bounded(n), seed)([groups[place] for place in places])
        found |= dict(zip(places, rewards, strict=True))
    return [found[place] for place in range(len(groups))]
