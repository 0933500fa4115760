"""A judge as the reward in OpenRLHF's agent, which loads this file by its path::

    --train.agent_func_path .../gramr2/integrations/openrlhf_agent.py

It generates as OpenRLHF does without an agent, and a completion's reward is its chance to beat a sibling. OpenRLHF tells an agent
neither the step nor the size of the group; but all completions of a prompt are begun together in one process, with the same
object of sampling parameters, which is made anew for each prompt and step. That object is the group's name. A completion that is
alone, as in an evaluation with one sample, is compared with the reference in its label.

The judge is named by ``$GRAMR2_JUDGE``, best the address of a ``gramr2 serve``. Written against 0.11.2
(``openrlhf/utils/agent.py``, ``openrlhf/trainer/ray/vllm_engine.py``).
"""

from __future__ import annotations

import asyncio
from typing import Any

from openrlhf.utils.agent import SingleTurnAgentExecutor

from gramr2.data.turns import BadRowError
from gramr2.errors import DataError
from gramr2.integrations.gathering import Gathering
from gramr2.integrations.judges import decided, named_in_environment
from gramr2.loading import LoadedJudge
from gramr2.rewards.adapters.openrlhf import read_label
from gramr2.rewards.groups import Group, Rewards, WinRateReward


class AgentExecutor(SingleTurnAgentExecutor):  # type: ignore[misc]  # OpenRLHF is not there for the type checker
    """What OpenRLHF makes of this file, once in each engine."""

    def __init__(self) -> None:
        super().__init__()
        self._gathering = Gathering(_rewards)
        self._begun: dict[tuple[int, str], tuple[Any, int]] = {}

    async def execute(
        self,
        prompt: str,
        label: Any,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: Any,
        llm_engine: Any,
        images: Any = None,
    ) -> dict[str, Any]:
        """A completion as OpenRLHF's own executor makes it, with its ``reward``, when its siblings have come.

        Raises:
            ConfigError: ``$GRAMR2_JUDGE`` is not set.
            DataError: a completion is alone and its label has no reference, or the prompt has images.
            NoVerdictError: the judge did not decide, and ``$GRAMR2_UNDECIDED`` has no number for it.
        """
        if images:
            raise DataError("a prompt has images, which the judge cannot see")
        try:
            shown, references = read_label(label, prompt)
        except BadRowError as error:
            raise DataError(f"a label: {error}") from error
        group = id(sampling_params), prompt
        # The object is kept with its number, which would otherwise be free for another.
        self._begun[group] = (sampling_params, self._begun.get(group, (None, 0))[1] + 1)
        await asyncio.sleep(0)  # now all of the group have begun
        output: dict[str, Any] = await super().execute(
            prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine, images
        )
        _, size = self._begun[group]
        text = _completion(output, hf_tokenizer)
        if size > 1:
            reward = await self._gathering.join(group, size, shown, text)
        elif references:
            reward = (await asyncio.to_thread(lambda: _judge().score(shown, text, references=references))).score
        else:
            raise DataError("a completion has no siblings, and its label has no reference to compare it with")
        self._begun.pop(group, None)
        value = decided(reward, "OpenRLHF has no missing reward")
        output.update(reward=value, scores=value, extra_logs={"decided": float(reward is not None)})
        return output


def _judge() -> LoadedJudge:
    return named_in_environment("OpenRLHF's agent")


def _rewards(group: Group) -> Rewards:
    [rewards] = WinRateReward(_judge())([group])
    return rewards


def _completion(output: dict[str, Any], tokenizer: Any) -> str:
    """The completion's text, without the tokens that end it: they would tell the judge whose text it is."""
    [(start, end)] = output["action_ranges"]
    tokens = [*output["observation_tokens"][start:end]]
    special = {*tokenizer.all_special_ids}
    while tokens and tokens[-1] in special:
        tokens.pop()
    return str(tokenizer.decode(tokens, skip_special_tokens=False))
