"""Answers in the shapes of Cohere's, Jina's and vLLM's servers: rerank, score and classify."""

from __future__ import annotations

import time
import uuid
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gramr2.wire import JudgeId


class _Part(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)


class _Answer(_Part):
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    judge: JudgeId


class UsageBody(_Part):
    """What it took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    comparisons: int


class RerankResult(_Part):
    """A document's place; without a score, ``reason`` says why."""

    index: int
    relevance_score: float | None
    document: dict[str, str] | None = None
    reason: str | None = None


class RerankResponse(_Answer):
    """Documents, the best first."""

    results: list[RerankResult]
    usage: UsageBody
    meta: dict[str, Any]


class TextScore(_Part):
    """A score; where it is null, ``reason`` says why."""

    index: int
    object: Literal["score"] = "score"
    score: float | None
    reason: str | None = None


class TextScores(_Answer):
    """Scores in the order asked."""

    object: Literal["list"] = "list"
    data: list[TextScore]
    usage: UsageBody | None
    """null for grades"""


class ClassBody(_Part):
    """The decision on one comparison; where ``label`` is null, ``reason`` says why."""

    index: int
    label: Literal["A", "B", "tie"] | None
    probs: list[float] | None
    """of A, B and tie"""
    num_classes: Literal[3] = 3
    reason: str | None = None


class ClassifyResponse(_Answer):
    """Decisions in the order asked."""

    object: Literal["list"] = "list"
    data: list[ClassBody]
    usage: UsageBody
