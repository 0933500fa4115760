"""Rewards with the verdicts behind them: for each completion one of its comparisons, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gramr2.comparison import Comparison, Label
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision
from gramr2.rewards.groups import Group, GroupReward, Rewards

Verdicts = list[str | None]
"""for each completion of a group what the judge said in its first comparison that has a rationale, else in its first"""


class Remembering:
    """A ``PreferenceModel`` that remembers what it was asked and what it decided."""

    def __init__(self, model: PreferenceModel) -> None:
        self._model = model
        self.decided: list[tuple[Comparison, Decision]] = []

    @property
    def id(self) -> str:
        """The model's."""
        return self._model.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        decisions = self._model.compare(comparisons, seed)
        self.decided += zip(comparisons, decisions, strict=True)
        return decisions


def explained(reward: GroupReward, groups: Sequence[Group]) -> tuple[list[Rewards], list[Verdicts] | None]:
    """The rewards of groups, and the verdicts; those are None for a reward of another kind than a data class with a ``judge``."""
    judge = getattr(reward, "judge", None)
    if judge is None or not hasattr(reward, "__dataclass_fields__"):
        return reward(groups), None
    remembering = Remembering(judge)
    own: Any = replace(reward, judge=remembering)  # type: ignore[type-var]  # it is a data class
    rewards = own(groups)
    said: dict[tuple[Any, str], str] = {}
    # Those without a rationale last: what is there already stays.
    for comparison, decision in sorted(remembering.decided, key=lambda each: each[1].rationale is None):
        for place, text in enumerate(comparison.responses):
            said.setdefault((comparison.prompt, text), _in_words(decision, place))
    return rewards, [[said.get((group.prompt, text)) for text in group.completions] for group in groups]


def _in_words(decision: Decision, place: int) -> str:
    """What a decision says of its first or second response."""
    if decision.label is None:
        return "undecided"
    outcome = "tie" if decision.label is Label.TIE else "won" if decision.label is (Label.A, Label.B)[place] else "lost"
    if not decision.rationale:
        return outcome
    # In a rationale “Response A” is the one that this vote was shown first.
    letter = "AB"[place] if decision.rationale_order is None or decision.rationale_order == "ab" else "BA"[place]
    return f"{outcome} as Response {letter}: {decision.rationale}"
