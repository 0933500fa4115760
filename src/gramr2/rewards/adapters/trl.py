"""Reward functions for TRL's ``GRPOTrainer`` and ``RLOOTrainer`` (written against TRL 1.16).

TRL hands over a batch of completions in which those of one prompt stand beside each other, so a whole group is seen at once.
None is its word for a reward that does not exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any

from gramr2.comparison import Message
from gramr2.errors import DataError
from gramr2.rewards.groups import Group, GroupReward

Turns = Sequence[Mapping[str, Any]]
"""chat messages as TRL has them"""


class TRLReward:
    """A synchronous reward function: ``GRPOTrainer(reward_funcs=TRLReward(WinRateReward(judge)))``.

    Args:
        reward: how a group is rewarded.
        reference: the data set's column of references, for rewards that need one.
        name: what TRL calls the reward in its logs.
    """

    def __init__(self, reward: GroupReward, *, reference: str = "reference", name: str = "gramr2") -> None:
        self.reward = reward
        self.reference = reference
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[str | Turns],
        completions: Sequence[str | Turns],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """A reward for each completion, in their order; None where the judge abstains.

        Args:
            prompts: one for each completion, text or chat messages.
            completions: text or chat messages.
            log_metric: TRL's; it is told the share of completions that have a reward.
            columns: the data set's other columns, and what else TRL passes.

        Raises:
            DataError: the batch is not one that TRL would make.
        """
        if len(prompts) != len(completions):
            raise DataError(f"{len(prompts)} prompts for {len(completions)} completions: TRL repeats a prompt for each")
        groups = _groups(prompts, completions, columns.get(self.reference))
        rewards = [reward for each in self.reward(groups) for reward in each]
        if log_metric and rewards:
            log_metric(f"{self.__name__}/coverage", sum(each is not None for each in rewards) / len(rewards))
        return rewards


def asynchronous(reward: TRLReward) -> Callable[..., Coroutine[Any, Any, list[float | None]]]:
    """The same reward function as a coroutine: TRL awaits all of these together, so that remote judges work side by side."""

    async def function(**batch: Any) -> list[float | None]:
        return await asyncio.to_thread(reward, **batch)

    function.__name__ = reward.__name__
    return function


def _groups(
    prompts: Sequence[str | Turns], completions: Sequence[str | Turns], references: Sequence[str | None] | None
) -> list[Group]:
    rows = [
        (_prompt(prompt), None if references is None else references[i], _completion(completions[i]))
        for i, prompt in enumerate(prompts)
    ]
    return [
        Group(prompt, tuple(text for *_, text in members), reference)
        for (prompt, reference), members in groupby(rows, key=lambda row: row[:2])
    ]


def _prompt(prompt: str | Turns) -> tuple[Message, ...]:
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    return tuple(Message(turn["role"], _text(turn)) for turn in prompt)


def _completion(completion: str | Turns) -> str:
    return completion if isinstance(completion, str) else "\n".join(_text(turn) for turn in completion)


def _text(turn: Mapping[str, Any]) -> str:
    """A turn's text; one that only calls a tool has none, and of several parts the texts count."""
    content = turn.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")
