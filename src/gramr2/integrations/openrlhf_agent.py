"""A judge as the reward in OpenRLHF's agent, which loads this file by its path::

    --train.agent_func_path .../gramr2/integrations/openrlhf_agent.py

It generates as OpenRLHF does without an agent, and a completion's reward is its chance to beat a sibling. OpenRLHF tells an agent
neither the step nor the size of the group; but all completions of a prompt are begun together in one process, with the same
object of sampling parameters, which is made anew for each prompt and step. That object is the group's name. A completion that is
alone, as in an evaluation with one sample, is compared with the reference in its label.

When one of a group fails or is cancelled, so do the others that have no reward yet, and the judge is not asked: OpenRLHF takes no
completion of a prompt of which one has raised, so that their rewards would be paid for and thrown away.

The judge is named by ``$GRAMR2_JUDGE``, best the address of a ``gramr2 serve``. Written against 0.11.2
(``openrlhf/utils/agent.py``, ``openrlhf/trainer/ray/vllm_engine.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from openrlhf.utils.agent import SingleTurnAgentExecutor

from gramr2.comparison import Message
from gramr2.data.turns import BadRowError
from gramr2.errors import DataError, reason_of
from gramr2.integrations.gathering import Gathering
from gramr2.integrations.judges import NoSiblingsError, chances, decided, named_in_environment
from gramr2.loading import LoadedJudge
from gramr2.rewards.adapters.openrlhf import read_label
from gramr2.rewards.groups import Group, Rewards


class _Siblings:
    """Completions that were begun together. No dataclass: OpenRLHF does not register the module, which a dataclass looks up."""

    def __init__(self) -> None:
        self.size = 0
        self.lost: NoSiblingsError | None = None
        """for the others, when one has failed"""


class AgentExecutor(SingleTurnAgentExecutor):  # type: ignore[misc]  # OpenRLHF is not there for the type checker
    """What OpenRLHF makes of this file, once in each engine."""

    def __init__(self) -> None:
        super().__init__()
        self._gathering = Gathering(_rewards)
        self._begun: dict[tuple[int, str], _Siblings] = {}

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
            NoSiblingsError: a sibling has failed or was cancelled.
            NoVerdictError: the judge did not decide, and ``$GRAMR2_UNDECIDED`` has no number for it.
        """
        if images:
            raise DataError("a prompt has images, which the judge cannot see")
        try:
            shown, references = read_label(label, prompt)
        except BadRowError as error:
            raise DataError(f"a label: {error}") from error
        siblings = self._begun.setdefault((id(sampling_params), prompt), _Siblings())
        siblings.size += 1
        try:
            await self._all_begun(id(sampling_params), prompt)
            output: dict[str, Any] = await super().execute(
                prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine, images
            )
            text = _completion(output, hf_tokenizer)
            reward = await self._reward(siblings, shown, text, references)
        except (Exception, asyncio.CancelledError) as error:
            self._give_up(siblings, error)
            raise
        value = decided(reward, "OpenRLHF has no missing reward")
        output.update(reward=value, scores=value, extra_logs={"decided": float(reward is not None)})
        return output

    async def _all_begun(self, params: int, prompt: str) -> None:
        try:
            await asyncio.sleep(0)  # now all of the group have begun
        finally:
            # Another object may have the number when this one is gone.
            self._begun.pop((params, prompt), None)

    def _give_up(self, siblings: _Siblings, error: BaseException) -> None:
        """Tell the others of the first that failed."""
        if siblings.lost is None:
            reason = reason_of(error) if isinstance(error, Exception) else "it was cancelled"
            siblings.lost = NoSiblingsError(f"a sibling of this completion failed, so it is not compared: {reason}")
            self._gathering.fail(siblings, siblings.lost)

    async def _reward(
        self, siblings: _Siblings, prompt: tuple[Message, ...], text: str, references: Sequence[str]
    ) -> float | None:
        if siblings.lost is not None:
            raise siblings.lost
        if siblings.size > 1:
            return await self._gathering.join(siblings, siblings.size, prompt, text)
        if references:
            return (await asyncio.to_thread(lambda: _judge().score(prompt, text, references=references))).score
        raise DataError("a completion has no siblings, and its label has no reference to compare it with")


def _judge() -> LoadedJudge:
    return named_in_environment("OpenRLHF's agent")


def _rewards(group: Group) -> Rewards:
    return chances(_judge(), group)


def _completion(output: dict[str, Any], tokenizer: Any) -> str:
    """The completion's text, without the tokens that end it: they would tell the judge whose text it is."""
    [(start, end)] = output["action_ranges"]
    tokens = [*output["observation_tokens"][start:end]]
    special = {*tokenizer.all_special_ids}
    while tokens and tokens[-1] in special:
        tokens.pop()
    return str(tokenizer.decode(tokens, skip_special_tokens=False))
