"""A judge as a resources server of NeMo Gym, in place of its ``genrm_compare``: the same ``/verify`` and ``/compare``.

A reward is the chance, from 0 to 1, to beat a sibling: ``/verify`` keeps the rollouts of a prompt until
``num_rollouts_per_prompt`` of them have come, and ``/compare`` gets all of them at once. A row with a ``reference`` is compared
with that instead, and waits for nobody. ``examples/nemo_gym`` is the folder that Gym starts it from.

Gym's client repeats a request whose connection was dropped: the same response with the same ``_ng_rollout_index`` has the place
and the reward of the first.

Gym had no missing reward at commit 07d6b0d, against which this is written (``resources_servers/genrm_compare/app.py``,
``nemo_gym/base_resources_server.py``), and its own row for a judge that failed has the reward 0.0, on which NeMo RL would train.
So what the judge does not decide is an error of the request, unless ``$GRAMR2_UNDECIDED`` has a number for it. Where the
installed Gym's ``BaseVerifyResponse`` has a field ``mask_sample``, ``/verify`` sets it instead of raising.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from pydantic import BaseModel, ConfigDict, Field

from gramr2.errors import ConfigError, DataError, NoVerdictError
from gramr2.hashing import text_hash
from gramr2.integrations.gathering import Gathering
from gramr2.integrations.judges import chances, decided, named_in_environment, shared, texts
from gramr2.integrations.responses import answered, asked, conversation
from gramr2.judging.records import UNDECIDED
from gramr2.loading import LoadedJudge
from gramr2.rewards.groups import Group, Rewards

_UNKNOWN = "this version of NeMo Gym has no missing reward"


class JudgeServerConfig(BaseResourcesServerConfig):  # type: ignore[misc]  # NeMo Gym is not there for the type checker
    """What Gym's YAML may say."""

    name: str = "gramr2_judge"
    judge: str = ""
    """any name that ``gramr2.load_judge`` takes, such as http://judge:8000; default: that in ``$GRAMR2_JUDGE``"""
    num_rollouts_per_prompt: int = Field(default=1, ge=1, le=64)
    cohort_wait_s: float = Field(default=600.0, gt=0)
    """seconds after which the rollouts that have come are rewarded without the others; one that is alone is an error"""


class VerifyRequest(BaseVerifyRequest):  # type: ignore[misc]
    """A rollout, with what identifies it and its prompt in ``genrm_compare``."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    task_index: int | None = Field(default=None, alias="_ng_task_index")
    rollout_index: int | None = Field(default=None, alias="_ng_rollout_index")
    prompt_id: str | None = None
    principle: str | None = None
    reference: str | list[str] | None = None


class CompareRequest(BaseModel):
    """All responses to a prompt."""

    conversation_history: list[dict[str, Any]]
    response_objs: list[dict[str, Any]]
    principle: str | None = None


class CompareResponse(BaseModel):
    """A reward for each response, in their order."""

    rewards: list[float]
    comparison_results: list[dict[str, Any]] | None = None
    metrics: dict[str, float] | None = None


class JudgeServer(SimpleResourcesServer):  # type: ignore[misc]
    """The resources server."""

    config: JudgeServerConfig

    def setup_webserver(self) -> Any:
        """Gym's application, and ``/compare``."""
        app = super().setup_webserver()
        app.post("/compare")(self.compare)
        return app

    async def verify(self, body: VerifyRequest) -> BaseVerifyResponse:
        """The reward of one rollout, when those of its prompt have come.

        Raises:
            ConfigError: there is nothing to compare it with.
            DataError: it holds something that is not text, or asks for a principle.
            NoSiblingsError: no other rollout has come within ``cohort_wait_s``.
            NoVerdictError: the judge did not decide, there is no number for this case, and this Gym does not mask samples.
        """
        _refuse(body.principle)
        params = body.responses_create_params.model_dump(mode="json", exclude_none=True)
        response = body.response.model_dump(mode="json", exclude_none=True)
        prompt, text = asked(params), answered(response)
        size, references = self.config.num_rollouts_per_prompt, texts(body.reference)
        if references:
            scored = await asyncio.to_thread(lambda: self._judge().score(prompt, text, references=references))
            reward = scored.score
        elif size < 2:
            raise ConfigError(
                "a rollout has nothing to be compared with: set num_rollouts_per_prompt, or a reference in its row"
            )
        else:
            key = (body.task_index, body.prompt_id, text_hash(repr(prompt), 16))
            # The index alone is that of a rollout of the next epoch, too; a response has an id and a time.
            place = None if body.rollout_index is None else (body.rollout_index, text_hash(repr(response), 32))
            reward = await self._gathering.join(key, size, prompt, text, self.config.cohort_wait_s, place)
        return _verified(body, reward)

    async def compare(self, body: CompareRequest) -> CompareResponse:
        """The rewards of all responses to a prompt. Raises as ``verify`` does."""
        _refuse(body.principle)
        group = Group(conversation(body.conversation_history), tuple(answered(each) for each in body.response_objs))
        if len(group.completions) < 2:
            raise ConfigError("a response has nothing to be compared with: give at least two")
        rewards = await asyncio.to_thread(self._rewards, group)
        share = sum(each is not None for each in rewards) / len(rewards)
        return CompareResponse(rewards=[decided(each, _UNKNOWN) for each in rewards], metrics={"decided": share})

    @cached_property
    def _gathering(self) -> Gathering:
        return Gathering(self._rewards)

    def _judge(self) -> LoadedJudge:
        return shared(self.config.judge, {}) if self.config.judge else named_in_environment("NeMo Gym's server")

    def _rewards(self, group: Group) -> Rewards:
        return chances(self._judge(), group)


def _verified(body: VerifyRequest, reward: float | None) -> BaseVerifyResponse:
    fields = BaseVerifyResponse.model_fields
    try:
        found: dict[str, Any] = {"reward": decided(reward, _UNKNOWN)}
    except NoVerdictError:
        if "mask_sample" not in fields:
            raise
        found = {"reward": 0.0, "mask_sample": True} | (
            {"failure_reason": UNDECIDED} if "failure_reason" in fields else {}
        )
    return BaseVerifyResponse(responses_create_params=body.responses_create_params, response=body.response, **found)


def _refuse(principle: str | None) -> None:
    if principle:
        raise DataError(
            "a principle of a row is not supported: a judge has its principles from its training, or --prompt"
        )
