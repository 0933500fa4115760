"""Requests in the shapes of Cohere's, Jina's and vLLM's servers: rerank, score and classify."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gramr2.comparison import MOST_RESPONSES
from gramr2.serving.shapes.either import AS_LIST, AS_OBJECT, AS_TEXT, BY_KIND, OURS, THEIRS
from gramr2.wire import MOST_ITEMS, Prompt, Text

SILENT = frozenset(("user", "priority", "metadata"))
"""fields of other servers that say nothing about the answer"""


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    model: Text | None = None
    seed: int = 0
    deadline: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """seconds from now after which the answer is not needed; the server has a maximum"""

    @model_validator(mode="after")
    def _supported(self) -> Any:
        for name, value in (self.model_extra or {}).items():
            if value is not None and name not in SILENT:
                shown = name[:50].encode("utf-8", "backslashreplace").decode()
                raise ValueError(f"{shown} is not supported: a judge compares whole texts")
        return self


class DocumentText(BaseModel):
    """A document as an object."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: Text


Document = Annotated[Annotated[Text, AS_TEXT] | Annotated[DocumentText, AS_OBJECT], BY_KIND]
Texts = Annotated[Annotated[Text, AS_TEXT] | Annotated[list[Text], AS_LIST], BY_KIND]
Documents = Annotated[
    Annotated[Text, AS_TEXT] | Annotated[DocumentText, AS_OBJECT] | Annotated[list[Document], AS_LIST], BY_KIND
]


def text_of(document: str | DocumentText) -> str:
    """The document's text."""
    return document if isinstance(document, str) else document.text


class RerankRequest(_Request):
    """In which order do these documents answer the query? (Cohere, Jina)"""

    query: Text
    documents: list[Document] = Field(min_length=2, max_length=MOST_RESPONSES)
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = False


class TextsRequest(_Request):
    """How well does each text of the second side answer its text of the first? (vLLM)"""

    text_1: Texts | None = None
    text_2: Texts | None = None
    queries: Texts | None = None
    documents: Documents | None = None
    by: Literal["siblings", "rationale"] = "siblings"
    """the chance to beat the other texts for the same query, or a grade from 1 to 10 with a rationale"""

    @model_validator(mode="after")
    def _paired(self) -> TextsRequest:
        _ = self.pairs
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Query and text of each score, in the order of the answer."""
        left = _one_of(("text_1", self.text_1), ("queries", self.queries))
        right = _one_of(("text_2", self.text_2), ("documents", self.documents))
        left = left * len(right) if len(left) == 1 else left
        if len(left) != len(right):
            raise ValueError(
                f"there are {len(left)} queries and {len(right)} texts: give one query, or one for each text"
            )
        if not 1 <= len(right) <= MOST_ITEMS:
            raise ValueError(f"there are {len(right)} texts: give 1 to {MOST_ITEMS}")
        return [*zip(left, right, strict=True)]


def _one_of(*sides: tuple[str, Any]) -> list[str]:
    """The texts of the one side that is given."""
    given = [value for _, value in sides if value is not None]
    if len(given) != 1:
        raise ValueError(f"give {' or '.join(name for name, _ in sides)}, one of them")
    return [text_of(each) for each in (given[0] if isinstance(given[0], list) else [given[0]])]


def kind_of_score(body: Any) -> str:
    """Whose shape a request to ``/v1/score`` has: ours has items."""
    return THEIRS if isinstance(body, dict) and "items" not in body and body.keys() & _SIDES else OURS


_SIDES = {"text_1", "text_2", "queries", "documents"}


class PairInput(BaseModel):
    """A comparison to be classified."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prompt: Prompt
    responses: tuple[Text, Text]


Input = Annotated[Annotated[Text, AS_TEXT] | Annotated[PairInput, AS_OBJECT], BY_KIND]
Inputs = Annotated[
    Annotated[Text, AS_TEXT] | Annotated[PairInput, AS_OBJECT] | Annotated[list[Input], AS_LIST],
    BY_KIND,
]


class ClassifyRequest(_Request):
    """A, B or tie? (vLLM)"""

    input: Inputs | None = None
    """a judge prompt of gramr2's template, or the comparison itself; or several of them"""
    messages: list[dict[str, Any]] | None = None
    """a judge prompt as messages"""

    @model_validator(mode="after")
    def _one(self) -> ClassifyRequest:
        if (self.input is None) == (self.messages is None):
            raise ValueError("give input or messages, one of them")
        if isinstance(self.input, list) and not 1 <= len(self.input) <= MOST_ITEMS:
            raise ValueError(f"there are {len(self.input)} inputs: give 1 to {MOST_ITEMS}")
        return self

    @property
    def inputs(self) -> list[str | PairInput | list[dict[str, Any]]]:
        """What is to be classified."""
        if self.messages is not None:
            return [self.messages]
        return [*self.input] if isinstance(self.input, list) else [self.input] if self.input is not None else []
