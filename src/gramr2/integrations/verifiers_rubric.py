"""A judge as a rubric of verifiers before 0.4, whose environments score with a ``Rubric``::

    vf.SingleTurnEnv(dataset=…, rubric=JudgeRubric())  # or RubricGroup([JudgeRubric(), …])

The judge is named by ``$GRAMR2_JUDGE``. verifiers' own rubric takes 0.0 for a reward function that fails; this one does not go
on when the judge's function fails, and leaves other functions to verifiers. Tested with 0.2.1; 0.1.14 and ``verifiers.legacy`` of
0.3.1 have the same methods. For 0.4, see ``gramr2.integrations.verifiers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from verifiers.rubrics.rubric import Rubric

from gramr2.comparison import Message, as_messages
from gramr2.data.turns import BadRowError, read_answer
from gramr2.errors import ConfigError, DataError
from gramr2.integrations.judges import chances, decided, named_in_environment, texts
from gramr2.rewards.groups import Group

_SHOWN = ("role", "content", "tool_calls", "name", "tool_call_id")
_UNKNOWN = "verifiers has no missing reward"


async def beats_siblings(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> list[float]:
    """The chance, from 0 to 1, of each completion to beat another one of its group; a group reward function.

    Args:
        prompts: one for each completion, and all the same; text or messages.
        completions: text or messages; what a tool answered between them is shown, and the policy's reasoning is not.

    Raises:
        ConfigError: ``$GRAMR2_JUDGE`` is not set.
        DataError: a completion has no siblings, or holds something that is not text.
        NoVerdictError: the judge did not decide one, and ``$GRAMR2_UNDECIDED`` has no number for it.
    """
    shown = [_prompt(each) for each in prompts]
    if len(completions) < 2 or len(set(shown)) > 1:
        raise DataError(f"{len(completions)} completions of {len(set(shown))} prompts are not a group of siblings")
    group = Group(shown[0], tuple(_text(each, shown[0]) for each in completions))

    rewards = await asyncio.to_thread(lambda: chances(named_in_environment("verifiers' rubric"), group))
    return [decided(each, _UNKNOWN) for each in rewards]


async def beats_answer(prompt: Any, completion: Any, answer: Any, **_: Any) -> float:
    """The chance, from 0 to 1, that a completion beats the row's ``answer``. Raises as ``beats_siblings`` does."""
    references = texts(answer)
    if not references:
        raise DataError("a row has no answer to compare a completion with: give the data a column answer")
    shown = _prompt(prompt)
    text = _text(completion, shown)
    scored = await asyncio.to_thread(
        lambda: named_in_environment("verifiers' rubric").score(shown, text, references=references)
    )
    return decided(scored.score, _UNKNOWN)


class JudgeRubric(Rubric):  # type: ignore[misc]  # verifiers is not there for the type checker
    """The judge's rewards among siblings, or against the column ``answer``; an error of the judge's is raised, and is not 0.0.

    Other functions, in ``funcs`` or from ``add_metric``, are called as ``Rubric`` calls them, and count 0.0 where they fail.

    Args:
        reference: compare with the answer instead of siblings.
        weight: of the judge's reward.
        funcs: other reward functions.
        weights: theirs; default: 1.0 each.
        more: what else ``Rubric`` takes.

    Raises:
        ConfigError: there is not a weight for each of the other functions.
    """

    def __init__(
        self,
        *,
        reference: bool = False,
        weight: float = 1.0,
        funcs: Sequence[Any] | None = None,
        weights: Sequence[float] | None = None,
        **more: Any,
    ) -> None:
        others = [*(funcs or ())]
        theirs = [*weights] if weights else [1.0] * len(others)
        if len(theirs) != len(others):
            raise ConfigError(
                f"{len(theirs)} weights for {len(others)} other functions: give one each; weight is the judge's"
            )
        ours = beats_answer if reference else beats_siblings
        super().__init__(funcs=[ours, *others], weights=[weight, *theirs], **more)

    async def _call_individual_reward_func(self, func: Any, state: Any) -> float:
        if func is beats_answer:
            return float(await beats_answer(**self.score_objects(state)))
        return float(await super()._call_individual_reward_func(func, state))

    async def _call_group_reward_func(self, func: Any, states: Any) -> list[float]:
        found: list[float]
        if func is beats_siblings:
            found = await beats_siblings(**self.group_score_objects(states))
        else:
            found = await super()._call_group_reward_func(func, states)
        return found


def _prompt(given: Any) -> tuple[Message, ...]:
    return as_messages(given if isinstance(given, str) else [_turn(each) for each in given])


def _text(given: Any, prompt: tuple[Message, ...]) -> str:
    if not isinstance(given, str) and not given:
        return ""
    try:
        turns = given if isinstance(given, str) else [_turn(each) for each in given]
        return read_answer(turns, "a completion", prompt)
    except BadRowError as error:
        raise DataError(str(error)) from error


def _turn(given: Any) -> dict[str, Any]:
    """A message, which is an object or a mapping, without the policy's reasoning."""
    turn: Mapping[str, Any] = given if isinstance(given, Mapping) else given.model_dump()
    return {key: turn[key] for key in _SHOWN if turn.get(key) is not None}
