"""Requests that wait for one another, and what each of them gets."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gramr2.comparison import MOST_RESPONSES
from gramr2.wire import JudgeId, Prompt, Text, encodable

LONGEST_NAME = 256
WAIT = 30.0
"""seconds that a member waits if it does not say how long"""


class CohortRequest(BaseModel):
    """One completion of a group that is rewarded together."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    group: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(encodable)]
    """the same for all of the group, and for nothing else: a name that has been used is remembered"""
    size: int = Field(ge=2, le=MOST_RESPONSES)
    """completions that the group will have"""
    prompt: Prompt
    response: Text
    wait: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """seconds after which the group is rewarded as it is; default: 30, or half of the request's time"""
    budget: int | None = Field(default=None, ge=1)
    """comparisons for the whole group; default: each completion against each other"""
    seed: int = 0
    deadline: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """seconds from now after which the answer is not needed; the server has a maximum"""


class CohortResponse(BaseModel):
    """The chance of the completion to beat another one of its group; where it is null, ``reason`` says why."""

    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)

    judge: JudgeId
    group: str
    reward: float | None
    reason: str | None
    arrived: int
    """completions that were rewarded together"""
    size: int
