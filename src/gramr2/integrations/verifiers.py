"""A judge as a reward of verifiers 0.4 (``verifiers.v1``), and so of prime-rl. It is named by ``$GRAMR2_JUDGE``.

A reference reward is plugged into any taskset whose tasks have a column ``answer``::

    --env.taskset.task.rewards.gramr2.fn gramr2.integrations.verifiers:beats_answer

verifiers has siblings side by side only within an episode, so ``SiblingsEnv`` plays a task ``--env.n`` times in one and
compares the replies when all are there; with prime-rl, ``group_size = 1`` and ``env.n = 8`` make the group. verifiers takes an
environment from the ``__all__`` of the taskset's package, or of the module on the path that ``--env.id`` names::

    from gramr2.integrations.verifiers import SiblingsEnv

    __all__ = ["MyTaskset", "SiblingsEnv"]

What the judge does not decide is an error of its trace, and so it is when all siblings have failed: verifiers has no missing
reward, a trace without one counts 0, and prime-rl leaves traces with errors out of the training and of a group's mean. Written
against 0.4.0 (``v1/task.py``, ``v1/env.py``) and prime-rl's ``orchestrator/algo``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from verifiers.v1.envs.best_of_n import BestOfNEnv

from gramr2.comparison import Message, as_messages
from gramr2.errors import DataError, GramrError, NoVerdictError
from gramr2.integrations.judges import NoSiblingsError, chances, decided, named_in_environment, texts
from gramr2.loading import LoadedJudge
from gramr2.rewards.groups import Group

NAME = "gramr2"
"""of the reward among siblings"""
_LEFT_OUT = "it is left out"


async def beats_answer(task: Any, trace: Any) -> float:
    """The chance, from 0 to 1, that the last reply beats the task's ``answer``, a text or several; a reward function.

    Args:
        task: verifiers' ``TaskData``, with an ``answer``.
        trace: a finished one.

    Raises:
        ConfigError: ``$GRAMR2_JUDGE`` is not set.
        DataError: the task has no answer, or no prompt that is text.
        NoVerdictError: the judge did not decide, and ``$GRAMR2_UNDECIDED`` has no number for it.
    """
    answers = texts(getattr(task, "answer", None))
    if not answers:
        raise DataError("a task has no answer to compare a reply with: give its data a field answer")
    prompt, reply = _prompt(task), trace.last_reply

    scored = await asyncio.to_thread(lambda: _judge().score(prompt, reply, references=answers))
    return decided(scored.score, _LEFT_OUT)


async def reward_siblings(task: Any, traces: Sequence[Any], *, name: str = NAME, weight: float = 1.0) -> None:
    """Record for each trace the chance, from 0 to 1, of its last reply to beat another one; for an ``Env``'s ``finalize``.

    A trace that has failed is left alone, and one that gets no reward fails: the judge did not decide it, or all of its siblings
    have failed, and ``$GRAMR2_UNDECIDED`` is for the former only. A judge that fails is an error of all traces, so that none is
    trained on without its reward, and of the episode.

    Args:
        task: the ``TaskData`` that all of them worked on.
        traces: up to 64.
        name: of the reward.
        weight: of the reward.

    Raises:
        GramrError: the judge cannot be asked, or ``$GRAMR2_UNDECIDED`` is no number and was needed.
    """
    ready = [each for each in traces if each.ok]
    try:
        found = await asyncio.to_thread(_outcomes, task, [each.last_reply for each in ready], len(traces))
    except Exception as error:
        for each in ready:
            each.record_error(error)
        raise
    for trace, outcome in zip(ready, found, strict=True):
        trace.rewards[name] = None
        if isinstance(outcome, GramrError):
            trace.record_error(outcome)
        else:
            trace.record_reward(name, outcome, weight)


class SiblingsEnv(BestOfNEnv):  # type: ignore[misc]  # verifiers is not imported by the type checker
    """verifiers' best of n, whose attempts are compared with each other by the judge."""

    async def finalize(self, task: Any, episode: Any) -> None:
        """See ``reward_siblings``; then what best of n records."""
        await reward_siblings(task.data, episode.traces)
        await super().finalize(task, episode)


def _judge() -> LoadedJudge:
    return named_in_environment("verifiers' reward")


def _outcomes(task: Any, replies: Sequence[str], size: int) -> list[float | GramrError]:
    """For each reply its reward, or why there is none."""
    if len(replies) < 2:
        alone = NoSiblingsError(f"no other of the episode's {size} traces is ok: there is nothing to compare it with")
        return [alone for _ in replies]
    return [_outcome(each) for each in chances(_judge(), Group(_prompt(task), tuple(replies)))]


def _outcome(reward: float | None) -> float | GramrError:
    try:
        return decided(reward, _LEFT_OUT)
    except NoVerdictError as error:
        return error


def _prompt(task: Any) -> tuple[Message, ...]:
    given = task.prompt
    if not given:
        raise DataError(
            "a task has no prompt, since its user opens the conversation: there is nothing to compare replies for"
        )
    turns = (
        [{"role": "user", "content": given}]
        if isinstance(given, str)
        else [each.model_dump(exclude_none=True) for each in given]
    )
    system = [{"role": "system", "content": task.system_prompt}] if task.system_prompt else []
    return as_messages([*system, *turns])
