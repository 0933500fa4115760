"""A judge as a reward function of ms-swift's GRPO, which loads this file by its path::

    --external_plugins $(python -c "import gramr2.integrations.ms_swift as s; print(s.__path__[0])")/plugin.py
    --reward_funcs gramr2

The judge is named by ``$GRAMR2_JUDGE``. A completion's reward is its chance to beat a sibling; a column ``reference`` in the
data is what it is compared with instead. What the judge does not decide is None, which ms-swift takes as missing, and so is a
completion without siblings where ``num_generations_eval`` is 1. Written against 4.6.0 (``swift/rl_core/grpo_algorithm.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swift.rewards import ORM, orms

from gramr2.integrations.judges import named_in_environment
from gramr2.rewards.adapters.trl import TRLReward
from gramr2.rewards.groups import ReferenceReward, WinRateReward


class JudgeReward(ORM):  # type: ignore[misc]  # ms-swift is not typed
    """What ms-swift makes for ``--reward_funcs gramr2``.

    Raises:
        ConfigError: ``$GRAMR2_JUDGE`` is not set.
    """

    def __init__(self, args: Any = None, **named: Any) -> None:
        super().__init__(args, **named)
        self._judge = named_in_environment("the reward function gramr2")
        sizes = ("num_generations", "num_generations_eval")
        self._sizes: dict[str, Any] = {name: getattr(args, name, None) for name in sizes}

    def __call__(
        self,
        completions: Sequence[str],
        messages: Sequence[Sequence[Mapping[str, Any]]],
        reference: Sequence[str] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """A reward for each completion, in their order; ``messages`` end in the completion. Raises as ``TRLReward`` does."""
        reward = ReferenceReward(self._judge) if reference else WinRateReward(self._judge)
        prompts = [list(each[:-1]) for each in messages]
        return TRLReward(reward, **self._sizes)(prompts, completions, reference=reference)


orms["gramr2"] = JudgeReward
