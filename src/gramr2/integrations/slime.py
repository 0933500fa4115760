"""A judge as the reward model of slime: ``--group-rm --custom-rm-path gramr2.integrations.slime.reward``.

slime passes a whole group of samples of one prompt, which are rewarded together: a sample's reward is its chance to beat a
sibling. A sample that comes alone, as in an evaluation, is compared with its label. The judge is named by ``$GRAMR2_JUDGE``,
best the address of a ``gramr2 serve``, since every rollout process loads what is not served; its token is ``$GRAMR2_TOKEN``.

The judge should see the prompt as people wrote it. With ``--apply-chat-template`` slime's own is a text with the policy's
template in it: put the prompt, a text or messages, into ``metadata.prompt`` then. Written against slime's
``slime/rollout/rm_hub/__init__.py`` and ``slime/utils/types.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from gramr2.comparison import as_messages
from gramr2.errors import DataError
from gramr2.integrations.judges import decided, named_in_environment
from gramr2.rewards.groups import Group, ReferenceReward, Rewards, WinRateReward


async def reward(args: Any, samples: Any, **_: Any) -> list[float] | float:
    """The rewards of samples, from 0 to 1; of one sample, one reward.

    Args:
        args: slime's; not used.
        samples: a list of slime's ``Sample``, or one.

    Raises:
        ConfigError: ``$GRAMR2_JUDGE`` is not set.
        DataError: a sample that comes alone has no label.
        NoVerdictError: the judge did not decide a sample, and ``$GRAMR2_UNDECIDED`` has no number for it.
    """
    if isinstance(samples, list | tuple):
        return await asyncio.to_thread(_rewards, samples)
    [alone] = await asyncio.to_thread(_rewards, [samples])
    return alone


def _rewards(samples: Sequence[Any]) -> list[float]:
    judge = named_in_environment("slime's reward")
    parts = [list(each) for _, each in groupby(samples, key=lambda sample: (sample.group_index, str(sample.prompt)))]
    groups = [_group(each) for each in parts]
    siblings = WinRateReward(judge)([each for each in groups if len(each.completions) > 1])
    alone = ReferenceReward(judge)([each for each in groups if len(each.completions) == 1])
    of_siblings, of_one = iter(siblings), iter(alone)
    found: list[Rewards] = [next(of_siblings) if len(each.completions) > 1 else next(of_one) for each in groups]
    return [decided(each, "slime has no missing reward") for rewards in found for each in rewards]


def _group(samples: Sequence[Any]) -> Group:
    first = samples[0]
    prompt = (first.metadata or {}).get("prompt") or first.prompt
    reference = first.label if isinstance(first.label, str) and first.label.strip() else None
    if len(samples) == 1 and reference is None:
        raise DataError(
            "a sample that comes without siblings has no label to compare it with: use --group-rm, or a --label-key"
        )
    return Group(as_messages(prompt), tuple(each.response for each in samples), reference)
