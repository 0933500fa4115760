"""Rewards for RLHF from a judge that compares each completion of a group with a reference or with its siblings.

A group is what a policy sampled for one prompt. A completion that the judge does not decide has no reward (None): trainers
that support abstention leave it out, and nothing here turns it into a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Comparison, Label, Message, ResponseSet, SingleResponse
from gramr2.errors import DataError
from gramr2.hashing import text_hash
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision
from gramr2.randomness import derive_seed
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.pointwise import against_references
from gramr2.rewards.ranking import rank
from gramr2.rewards.tournaments import RoundRobin, Tournament

EVEN = 0.5
"""the chance of a response to beat its own copy"""
Rewards = list[float | None]
"""one for each completion of a group, in its order; None where the judge did not decide"""


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt, the completions sampled for it, and a reference where there is one."""

    prompt: tuple[Message, ...]
    completions: tuple[str, ...]
    reference: str | None = None

    @property
    def id(self) -> str:
        """A digest of the content, which seeds the group's random numbers, whatever batch or process it is in."""
        turns = [[turn.role, turn.content] for turn in self.prompt]
        text = json.dumps([turns, self.completions, self.reference], ensure_ascii=False)
        return text_hash(text, 8)


class GroupReward(Protocol):
    """Computes the rewards of groups. Groups are independent of each other; they are passed together to be judged together."""

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """The rewards of each group."""
        ...


@dataclass(frozen=True, slots=True)
class ReferenceReward:
    """The chance, from 0 to 1, to beat the reference: in GRAM's PPO recipe (arXiv 2506.14175) the policy's own greedy answer.

    Raises:
        DataError: a group has no reference.
    """

    judge: PreferenceModel
    seed: int = 0

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``; one comparison for each distinct completion."""
        items: dict[str, SingleResponse] = {}
        for group in groups:
            if group.reference is None:
                raise DataError(
                    "a reference reward needs a reference for every prompt: add a reference column to the data"
                )
            for name, text in _named(group, group.reference):
                items[name] = SingleResponse(name, group.prompt, text, (group.reference,))
        scored = against_references(self.judge, list(items.values()), seed=self.seed)
        found: dict[str, float | None] = {each.id: each.score for each in scored}
        return [_by_name(group, found, EVEN) for group in groups]


@dataclass(frozen=True, slots=True)
class WinRateReward:
    """The chance to beat a sibling with another text, from 0 to 1; copies of a text count once, as one opponent.

    If every pair is compared, which is the default, it is the mean over the pairs. Tournaments that compare only some pairs,
    such as ``tournaments.Budget``, give some completions stronger opponents than others; then it is the chance against an
    average sibling under a Bradley-Terry model. Copies share a reward, and in a group of nothing but copies it is ``EVEN``.
    """

    judge: PreferenceModel
    scheme: Tournament | None = None
    seed: int = 0

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``.

        Raises:
            DataError: a group has fewer than 2 or more than 64 completions.
        """
        scheme = self.scheme or RoundRobin()
        whole = isinstance(scheme, RoundRobin)
        sets = {group.id: ResponseSet(group.id, group.prompt, group.completions) for group in groups}
        how = Aggregation.WIN_RATE if whole else Aggregation.BRADLEY_TERRY
        found: dict[str, Rewards] = {}
        for ranking in rank(self.judge, list(sets.values()), scheme, aggregation=how, seed=self.seed):
            ordered = sorted(ranking.places, key=lambda place: place.index)
            chances = [each.score if whole or each.score is None else _sigmoid(each.score) for each in ordered]
            copies = len(set(sets[ranking.id].responses)) == 1
            found[ranking.id] = [EVEN] * len(ordered) if copies else chances
        return [found[group.id] for group in groups]


@dataclass(frozen=True, slots=True)
class SiblingReward:
    """+1 for beating one sibling drawn at random (seeded), −1 for not beating it: pairwise rewards, no scalar to hack (BRPO).

    A win counts only if both orders agree on it. The sibling itself gets 0. If almost all of a group wins, or loses, this only
    tells how good the sibling was: if |ΣR| / G exceeds ``max_imbalance``, the group has no rewards.
    """

    judge: PreferenceModel
    max_imbalance: float = 0.6
    seed: int = 0

    def __call__(self, groups: Sequence[Group]) -> list[Rewards]:
        """See ``GroupReward``; one comparison for each completion that differs from the sibling."""
        drawn = [derive_seed(self.seed, "sibling", group.id) % len(group.completions) for group in groups]
        comparisons: dict[str, Comparison] = {}
        for group, place in zip(groups, drawn, strict=True):
            sibling = group.completions[place]
            for name, text in _named(group, sibling):
                comparisons[name] = Comparison(name, group.prompt, (text, sibling), group=group.id)
        decisions = self.judge.compare(list(comparisons.values()), self.seed)
        found = {each.id: _sign(each) for each in decisions}
        return [self._kept(_by_name(group, found, 0.0)) for group in groups]

    def _kept(self, rewards: Rewards) -> Rewards:
        balance = abs(sum(each for each in rewards if each is not None)) / len(rewards)
        return [None] * len(rewards) if balance > self.max_imbalance else rewards


def _named(group: Group, opponent: str) -> Iterator[tuple[str, str]]:
    """The distinct completions to compare with an opponent, with names that depend only on the group."""
    for text in dict.fromkeys(group.completions):
        if text != opponent:
            yield f"{group.id}/{group.completions.index(text)}", text


def _by_name(group: Group, found: Mapping[str, float | None], own: float) -> Rewards:
    """The rewards of a group's completions; ``own`` is that of the opponent's copies."""
    return [found.get(f"{group.id}/{group.completions.index(text)}", own) for text in group.completions]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _sign(decision: Decision) -> float | None:
    if decision.label is None:
        return None
    return 1.0 if decision.label is Label.A and not decision.order_flip else -1.0
