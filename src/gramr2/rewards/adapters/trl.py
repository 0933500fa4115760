"""Reward functions for TRL's trainers: GRPO, RLOO, asynchronous GRPO and online DPO (written against TRL 1.16).

TRL passes a process its share of the completions, with those of one prompt next to each other. A process sees whole groups
only if ``per_device_train_batch_size × steps_per_generation`` is a multiple of ``num_generations``: pass that number to
``TRLReward``, and it refuses incomplete groups. TRL takes None as a missing reward; with several reward functions it sums
the rewards of the others for such a completion.

In an evaluation groups have the trainer's ``num_generations_eval``, which ``TRLReward`` learns from GRPO and RLOO. A completion
that is alone there has no sibling, and so no win rate: None, and TRL's mean of the rewards is NaN. Watch a reference reward, or
train on one.

The reasoning of a policy is not shown to the judge where TRL has parsed it out of a completion, as it does where the tokenizer
has a response template or schema. Left in the text of a completion, it is shown.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from gramr2.comparison import Message, as_messages
from gramr2.data.turns import BadRowError, read_answer
from gramr2.errors import DataError
from gramr2.messages import without_reasoning
from gramr2.rewards.explained import Verdicts, explained
from gramr2.rewards.groups import Group, GroupReward, Rewards, SiblingReward, WinRateReward

Turns = Sequence[Mapping[str, Any]]
"""chat messages as TRL passes them"""
_Row = tuple[tuple[Message, ...], str | None, str]
"""prompt, reference and completion"""


class TRLReward:
    """A reward function: ``GRPOTrainer(reward_funcs=TRLReward(WinRateReward(judge)))``. See ``asynchronous`` for a coroutine.

    It can be pickled if its judge is one that ``gramr2.load_judge`` returned, as ``AsyncGRPOTrainer`` needs.

    Args:
        reward: how a group is rewarded.
        num_generations: size of a group, as set in the trainer; without it, adjacent completions with the same prompt form a
            group, which merges two groups of the same prompt and cannot detect that one is cut in two.
        num_generations_eval: size of a group in evaluations, if it is another one and the trainer is not TRL's GRPO or RLOO,
            which tell it. From other trainers a batch is an evaluation's if the fewest completions of a prompt in it are so many.
        reference: the data set's column of references, for rewards that need one.
        watch: rewards that are logged as ``NAME/watch`` and never trained on, such as ``ReferenceReward(judge)``. A win rate
            among siblings is ½ on average however good the policy is; the chance to beat a fixed reference can rise.
        watched: how many completions of each group are watched, the first ones.
        blocks: completions come as ``OnlineDPOTrainer`` passes them: the first of every prompt, then the second of every
            prompt, and so on; needs ``num_generations``, which is 2 there.
        name: name of the reward in TRL's logs.

    Raises:
        DataError: ``blocks`` without ``num_generations``.
    """

    def __init__(
        self,
        reward: GroupReward,
        *,
        num_generations: int | None = None,
        num_generations_eval: int | None = None,
        reference: str = "reference",
        watch: GroupReward | None = None,
        watched: int = 1,
        blocks: bool = False,
        name: str = "gramr2",
    ) -> None:
        if blocks and not num_generations:
            raise DataError("blocks=True needs num_generations: how many completions each prompt has")
        self.reward, self.reference = reward, reference
        self.num_generations, self.num_generations_eval = num_generations, num_generations_eval
        self.watch, self.watched, self.blocks = watch, watched, blocks
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[str | Turns],
        completions: Sequence[str | Turns],
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """A reward for each completion, in their order; None if the judge abstains, or an evaluation has no siblings.

        Args:
            prompts: one for each completion, text or chat messages.
            completions: text or chat messages; the policy's reasoning in ``reasoning_content``, ``reasoning`` or ``thinking``
                is not shown to the judge.
            log_metric: TRL's function for numbers; it gets the share of completions that have a reward, and what is watched.
            log_extra: TRL's function for columns of its table of completions; it gets a verdict with its rationale for each.
            columns: the data set's other columns, and everything else that TRL passes.

        Raises:
            DataError: the batch is not one that TRL would make, or a message holds something that is not text.
        """
        if len(prompts) != len(completions):
            raise DataError(f"{len(prompts)} prompts for {len(completions)} completions: TRL passes a prompt for each")
        places = self._places(len(prompts))
        references = columns.get(self.reference)
        rows = _rows(
            [prompts[i] for i in places],
            [completions[i] for i in places],
            [references[i] for i in places] if references else None,
        )
        runs = [[*run] for _, run in groupby(rows, key=lambda row: row[:2])]
        size = self._size([*map(len, runs)], log_metric)
        groups = [group for run in runs for group in _groups(run, size or len(run))]
        found: list[Rewards]
        why: list[Verdicts] | None
        if size == 1 and isinstance(self.reward, WinRateReward | SiblingReward):
            found, why = [[None] for _ in groups], [[None] for _ in groups]
        else:
            found, why = explained(self.reward, groups) if log_extra else (self.reward(groups), None)
        rewards = _in_order(places, [_finite(each) for group in found for each in group])
        if log_extra and why is not None:
            log_extra(f"{self.__name__}_verdict", _in_order(places, [each for group in why for each in group]))
        if log_metric and rewards:
            log_metric(f"{self.__name__}/coverage", sum(each is not None for each in rewards) / len(rewards))
            self._log_watched(groups, log_metric)
        return rewards

    def _log_watched(self, groups: Sequence[Group], log_metric: Callable[[str, float], None]) -> None:
        if self.watch is None:
            return
        first = [Group(each.prompt, each.completions[: self.watched], each.reference) for each in groups]
        values = [each for rewards in self.watch(first) for each in map(_finite, rewards) if each is not None]
        if values:
            log_metric(f"{self.__name__}/watch", fmean(values))

    def _places(self, count: int) -> list[int]:
        """Where the completions of the first prompt are, then those of the second, and so on."""
        if not self.blocks or not self.num_generations:
            return [*range(count)]
        if count % self.num_generations:
            raise DataError(f"{count} completions are not {self.num_generations} for each prompt")
        prompts = count // self.num_generations
        return [prompt + block * prompts for prompt in range(prompts) for block in range(self.num_generations)]

    def _size(self, runs: Sequence[int], log_metric: object) -> int | None:
        """The size of the groups in a batch with so many adjacent completions of each prompt; None if those are the groups."""
        # What GRPO and RLOO pass is a method of the trainer: nothing else that they pass tells an evaluation from training.
        trainer = getattr(log_metric, "__self__", None)
        training = getattr(getattr(trainer, "model", None), "training", None)
        size = self.num_generations
        evaluated = getattr(trainer, "num_generations_eval", None) or self.num_generations_eval
        if training is None:
            evaluating = size is not None and min(runs, default=0) == evaluated
        else:
            evaluating = not training and (size is not None or evaluated == 1)
        size = evaluated if evaluating and evaluated else size
        if size and any(run % size for run in runs):
            raise DataError(
                f"a process got {sum(runs)} completions that are not whole groups of {size}: make "
                "per_device_train_batch_size × steps_per_generation a multiple of num_generations, and "
                "per_device_eval_batch_size one of num_generations_eval; TRLReward takes both numbers"
            )
        return size


class AsyncTRLReward:
    """What ``asynchronous`` returns; TRL recognises it by its coroutine."""

    def __init__(self, reward: TRLReward) -> None:
        self.reward = reward
        self.__name__ = reward.__name__

    async def __call__(self, **batch: Any) -> list[float | None]:
        """See ``TRLReward``; in a thread, so that the loop goes on meanwhile."""
        return await asyncio.to_thread(self.reward, **batch)


def asynchronous(reward: TRLReward) -> AsyncTRLReward:
    """The same reward function as a coroutine: TRL awaits all of these together, so that remote judges run concurrently."""
    return AsyncTRLReward(reward)


def _rows(
    prompts: Sequence[str | Turns],
    completions: Sequence[str | Turns],
    references: Sequence[str | None] | None,
) -> list[_Row]:
    return [
        (prompt, references[i] if references else None, _completion(completions[i], prompt))
        for i, prompt in enumerate(map(as_messages, prompts))
    ]


def _groups(run: Sequence[_Row], size: int) -> list[Group]:
    """Groups of one prompt."""
    prompt, reference, _ = run[0]
    texts = [text for *_, text in run]
    return [Group(prompt, tuple(texts[at : at + size]), reference) for at in range(0, len(texts), size)]


def _in_order(places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Values that are in the order of the places, in the order of the completions."""
    found: list[Any] = [None] * len(values)
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def _finite(reward: float | None) -> float | None:
    """TRL would average a NaN into the advantages of the whole group."""
    return reward if reward is not None and math.isfinite(reward) else None


def _completion(completion: str | Turns, prompt: tuple[Message, ...]) -> str:
    """The policy's turns as one text, without its reasoning; what a tool answered between them is marked as such."""
    turns = completion if isinstance(completion, str) else [without_reasoning(each) for each in completion]
    try:
        return read_answer(turns, "a completion", prompt)
    except BadRowError as error:
        raise DataError(str(error)) from None
