"""OpenAI's chat completions and models, as far as a judge has them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gramr2.wire import JudgeId, Prompt, Text

MOST_CHOICES = 64
"""choices of one request"""
MOST_TURNS = 256
ALIAS = "gramr2"
"""a name by which every judge may be asked"""
SILENT = frozenset(
    (
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    )
)
"""fields that say nothing about the answer"""
NEUTRAL: dict[str, Any] = {
    "frequency_penalty": 0,
    "function_call": "none",
    "functions": [],
    "logit_bias": {},
    "modalities": ["text"],
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "stop": [],
    "tool_choice": "none",
    "tools": [],
}
"""what other fields may say, because a judge does just that; with any other value they are refused by name"""


def _served(extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        if value is not None and name not in SILENT and not (name in NEUTRAL and value == NEUTRAL[name]):
            shown = name[:50].encode("utf-8", "backslashreplace").decode()
            raise ValueError(f"{shown} is not supported: a judge writes a rationale and a verdict in a form of its own")


class Asked(BaseModel):
    """The comparison to judge (``extra_body`` of OpenAI's clients), in the order given."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: Prompt | None = None
    """default: ``messages`` is the prompt"""
    responses: tuple[Text, Text]


class StreamOptions(BaseModel):
    """What a stream has beside the answer."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A comparison to be judged once in the order given, as a rendered prompt or in ``gramr2``."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    messages: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_TURNS)
    gramr2: Asked | None = None
    model: Text | None = None
    n: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    """default: drawn for every request, so that votes asked for one by one are not copies"""
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _possible(self) -> ChatRequest:
        _served(self.model_extra or {})
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self

    @property
    def most(self) -> int | None:
        """The token budget of a rationale, if the request gives one."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


def characters(messages: list[dict[str, Any]]) -> int:
    """Of the texts in messages, read or not."""
    contents = [turn.get("content") for turn in messages]
    parts = [each if isinstance(each, list) else [each] for each in contents]
    texts = [part.get("text") if isinstance(part, dict) else part for each in parts for part in each]
    return sum(len(text) for text in texts if isinstance(text, str))


class _Answer(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)


class TopLogprob(_Answer):
    """A label and its natural-log probability at temperature 1, normalised over the labels."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A piece of the answer."""

    top_logprobs: list[TopLogprob]


class Logprobs(_Answer):
    """The last pieces of the answer: the opening of the verdict, the verdict, its end. Only the verdict was chosen."""

    content: list[TokenLogprob] | None
    refusal: None = None


class ChatMessage(_Answer):
    """What the judge wrote."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(_Answer):
    """One vote."""

    index: int
    message: ChatMessage
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"]


class Usage(_Answer):
    """Tokens; a prompt counts once, however many votes it has."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Told(_Answer):
    """What OpenAI's shape has no place for."""

    judge: JudgeId
    seed: int
    """with it the same request has the same answer"""
    outcomes: list[str]
    """of each choice: A, B, tie, or what went wrong"""


class ChatCompletion(_Answer):
    """Votes, a choice each."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    gramr2: Told


class ModelBody(_Answer):
    """The judge."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "gramr2"


class ModelList(_Answer):
    """The judge, which is the only model."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class OpenAIErrorPart(_Answer):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(_Answer):
    """Every refusal; ``retry`` is false if no later attempt can succeed."""

    error: OpenAIErrorPart
    retry: bool | None = None
