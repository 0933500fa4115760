"""Requests to the server and its answers. Requests have text and chat messages, never token ids."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gramr2.comparison import MOST_RESPONSES, Message, as_messages
from gramr2.data.turns import BadRowError, read_prompt, read_references, read_text

MOST_ITEMS = 256
"""comparisons or responses in one request"""
MOST_COMPARISONS = 2048
"""comparisons that a request may need in all; ranking 64 responses, each against each, takes 2016"""


def encodable(text: str) -> str:
    """The text itself. Raises ValueError if UTF-8 cannot hold it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair is not text") from error
    return text


Text = Annotated[str, AfterValidator(encodable)]
"""JSON can escape characters that UTF-8 cannot encode, and neither a tokenizer nor the answer could handle them"""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _readable(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        read_prompt(turns)
    except BadRowError as error:
        raise ValueError(str(error)) from error
    return turns


Turns = Annotated[list[dict[str, Any]], AfterValidator(_readable)]
"""chat messages as in files (``gramr2.messages``): tool calls and results are written out, images are refused"""
Prompt = Text | Turns


def turns(prompt: Prompt) -> tuple[Message, ...]:
    """A prompt as chat turns; a plain text is the user's."""
    return as_messages(prompt) if isinstance(prompt, str) else read_prompt(prompt)


class _Request(_Body):
    seed: int = 0
    """for the votes: the same request with the same seed has the same answer"""
    deadline: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """seconds from now after which the answer is not needed; the server has a maximum"""


class Pair(_Body):
    """A prompt and two responses."""

    id: Text | None = None
    prompt: Prompt
    responses: tuple[Text, Text]


class JudgeRequest(_Request):
    """Which of two responses is better?"""

    comparisons: list[Pair] = Field(min_length=1, max_length=MOST_ITEMS)


class RankRequest(_Request):
    """In which order are these responses?"""

    prompt: Prompt
    responses: list[Text] = Field(min_length=2, max_length=MOST_RESPONSES)
    scheme: Text = "round-robin"
    budget: int | None = Field(default=None, ge=1)
    aggregation: Literal["bradley-terry", "win-rate", "elo"] = "bradley-terry"


class Item(_Body):
    """A prompt, a response, and one or more references to score it against."""

    id: Text | None = None
    prompt: Prompt
    response: Text
    reference: Text | None = None
    references: list[Text] | None = None

    @model_validator(mode="after")
    def _readable(self) -> Item:
        try:
            _ = self.bank
        except BadRowError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def bank(self) -> tuple[str, ...]:
        """The references that it is scored against."""
        return read_references(self.reference, self.references, read_text)


class ScoreRequest(_Request):
    """How good is each of these responses?"""

    items: list[Item] = Field(min_length=1, max_length=MOST_ITEMS)
    by: Literal["reference", "rationale"] = "reference"
    """the chance to beat the references, or a grade from 1 to 10 with a rationale"""


class RewardRequest(BaseModel):
    """OpenRLHF's request to a remote reward model; other keys are ignored."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    query: list[Text] = Field(min_length=1, max_length=MOST_ITEMS)
    """prompt and completion as one text"""
    prompts: list[Text]
    labels: list[Any] | None = None
    """the labels of the rows: a reference, a list of them, or an object with ``reference`` or ``references`` and optionally
    ``prompt``"""


class _Answer(BaseModel):
    # An answer is JSON, which has no NaN; what is not a number is null, with a reason beside it.
    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)


class JudgeId(BaseModel):
    """Who judged: name and digest of the model, and digest of the prompt that it was given."""

    model: str
    template: str


class DecisionBody(_Answer):
    """A decision; where ``label`` is null, ``reason`` says why."""

    id: str
    label: Literal["A", "B", "tie"] | None
    confidence: float | None
    agreement: float | None
    order_flip: bool | None
    coverage: float
    probabilities: dict[str, float] | None
    readings: dict[str, dict[str, float]]
    """what the direct and the reasoned reading of the verdict, and the judge's second view, say, each by itself"""
    rationale: str | None
    rationale_order: str | None
    reason: str | None


class JudgeResponse(BaseModel):
    """Decisions in the order asked."""

    judge: JudgeId
    decisions: list[DecisionBody]


class RankResponse(BaseModel):
    """The ranking, in the form that ``gramr2 rank`` writes."""

    judge: JudgeId
    ranking: dict[str, Any]


class ScoreBody(_Answer):
    """A score; where it is null, ``reason`` says why."""

    id: str
    score: float | None
    spread: float | None
    coverage: float
    rationale: str | None
    reason: str | None


class ScoreResponse(BaseModel):
    """Scores in the order asked."""

    judge: JudgeId
    scores: list[ScoreBody]


class RewardResponse(_Answer):
    """A reward for each query; null if there is none, with the reason at the same position."""

    judge: JudgeId
    rewards: list[float | None]
    reasons: list[str | None]


class ProblemPart(BaseModel):
    """What is wrong with a part of a request."""

    loc: list[str | int]
    msg: str


class ProblemBody(BaseModel):
    """Every refusal; ``retry`` is false if no later attempt can succeed."""

    detail: str | list[ProblemPart]
    retry: bool | None = None


class StatusBody(BaseModel):
    """Whether the server is alive, or has its model."""

    status: Literal["ok", "ready", "not ready", "failed"]
