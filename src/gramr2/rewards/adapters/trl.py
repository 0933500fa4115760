"""Reward functions for TRL's ``GRPOTrainer`` and ``RLOOTrainer`` (written against TRL 1.16).

TRL passes a process its share of the completions, with those of one prompt next to each other. A process sees whole groups
only if ``per_device_train_batch_size × steps_per_generation`` is a multiple of ``num_generations``: pass that number to
``TRLReward``, and it refuses incomplete groups. TRL takes None as a missing reward; with several reward functions it sums
the rewards of the others for such a completion.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any

from gramr2.comparison import Message, as_messages
from gramr2.data.turns import BadRowError, read_answer
from gramr2.errors import DataError
from gramr2.rewards.groups import Group, GroupReward

Turns = Sequence[Mapping[str, Any]]
"""chat messages as TRL passes them"""


class TRLReward:
    """A synchronous reward function: ``GRPOTrainer(reward_funcs=TRLReward(WinRateReward(judge)))``.

    Args:
        reward: how a group is rewarded.
        num_generations: size of a group, as set in the trainer; without it, adjacent completions with the same prompt form a
            group, which merges two groups of the same prompt and cannot detect that one is cut in two.
        reference: the data set's column of references, for rewards that need one.
        name: name of the reward in TRL's logs.
    """

    def __init__(
        self,
        reward: GroupReward,
        *,
        num_generations: int | None = None,
        reference: str = "reference",
        name: str = "gramr2",
    ) -> None:
        self.reward = reward
        self.num_generations = num_generations
        self.reference = reference
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[str | Turns],
        completions: Sequence[str | Turns],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """A reward for each completion, in their order; None if the judge abstains.

        Args:
            prompts: one for each completion, text or chat messages.
            completions: text or chat messages.
            log_metric: TRL's logging function; it gets the share of completions that have a reward.
            columns: the data set's other columns, and everything else that TRL passes.

        Raises:
            DataError: the batch is not one that TRL would make, or a message holds something that is not text.
        """
        if len(prompts) != len(completions):
            raise DataError(f"{len(prompts)} prompts for {len(completions)} completions: TRL passes a prompt for each")
        groups = self._groups(prompts, completions, columns.get(self.reference))
        rewards = [_finite(reward) for each in self.reward(groups) for reward in each]
        if log_metric and rewards:
            log_metric(f"{self.__name__}/coverage", sum(each is not None for each in rewards) / len(rewards))
        return rewards

    def _groups(
        self,
        prompts: Sequence[str | Turns],
        completions: Sequence[str | Turns],
        references: Sequence[str | None] | None,
    ) -> list[Group]:
        size = self.num_generations
        rows = [
            (
                i // size if size else 0,
                prompt,
                references[i] if references else None,
                _completion(completions[i], prompt),
            )
            for i, prompt in enumerate(map(as_messages, prompts))
        ]
        groups = [
            Group(prompt, tuple(text for *_, text in members), reference)
            for (_, prompt, reference), members in groupby(rows, key=lambda row: row[:3])
        ]
        if size and any(len(group.completions) != size for group in groups):
            raise DataError(
                f"a process got {len(prompts)} completions that are not whole groups of {size}: make "
                "per_device_train_batch_size × steps_per_generation a multiple of num_generations"
            )
        return groups


def asynchronous(reward: TRLReward) -> Callable[..., Coroutine[Any, Any, list[float | None]]]:
    """The same reward function as a coroutine: TRL awaits all of these together, so that remote judges run concurrently."""

    async def function(**batch: Any) -> list[float | None]:
        return await asyncio.to_thread(reward, **batch)

    function.__name__ = reward.__name__
    return function


def _finite(reward: float | None) -> float | None:
    """TRL would average a NaN into the advantages of the whole group."""
    return reward if reward is not None and math.isfinite(reward) else None


def _completion(completion: str | Turns, prompt: tuple[Message, ...]) -> str:
    """The policy's turns as one text; what a tool answered between them is marked as such."""
    try:
        return read_answer(completion, "a completion", prompt)
    except BadRowError as error:
        raise DataError(str(error)) from None
