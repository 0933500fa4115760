"""What is judged: a prompt with two responses and the label that a person or a judge gave, or with many to be ranked.

No torch in here, nothing mutable, and the one operation that matters: ``swap()``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.errors import DataError
from gramr2.hashing import text_hash
from gramr2.mentions import swap_mentions
from gramr2.messages import BadRowError, Message, Role, read_turns

__all__ = [
    "MOST_RESPONSES",
    "Comparison",
    "Label",
    "LabeledComparison",
    "Message",
    "Order",
    "Prompt",
    "ResponseSet",
    "Role",
    "SingleResponse",
    "as_messages",
]


class Label(StrEnum):
    """Which response is better. A tie is a label like the other two, not the absence of one."""

    A = "A"
    B = "B"
    TIE = "tie"

    def swap(self) -> Label:
        """The same judgement after the two responses have changed places."""
        return _SWAPPED[self]


_SWAPPED = {Label.A: Label.B, Label.B: Label.A, Label.TIE: Label.TIE}


class Order(StrEnum):
    """How a comparison was shown: as it is stored, or with its responses exchanged."""

    AB = "ab"
    BA = "ba"


Prompt = str | Sequence[Message | Mapping[str, object]]
"""a text, or chat messages; mappings are as in chat APIs, ``{"role": "user", "content": "…"}``"""


def folded(text: str) -> str:
    """A text whose case and white space do not count."""
    return " ".join(text.casefold().split())


def unit_of(group: str | None, prompt: str) -> str:
    """See ``Comparison.unit``."""
    return group or f"prompt {folded(prompt)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt and two responses to it.

    ``id`` identifies the comparison in journals and seeds and is unique in its file; ``group`` is shared by comparisons
    with a common prompt or source, whose results are therefore not independent.
    """

    id: str
    prompt: tuple[Message, ...]
    responses: tuple[str, str]
    category: str | None = None
    source: str | None = None
    group: str | None = None

    @classmethod
    def of(cls, prompt: Prompt, a: str, b: str, *, id: str | None = None) -> Comparison:
        """A comparison of two responses.

        Args:
            prompt: text, or chat messages.
            a: the first response.
            b: the second.
            id: default: a digest of the texts, so that the same comparison has the same votes.

        Raises:
            DataError: a message has an unknown role, or content that is not text.
        """
        turns = as_messages(prompt)
        return cls(_digest(turns, a, b) if id is None else id, turns, (a, b))

    def swap(self) -> Comparison:
        """The same comparison with its responses exchanged; ``c.swap().swap() == c``."""
        return replace(self, responses=(self.responses[1], self.responses[0]))

    def shown(self, order: Order) -> Comparison:
        """The comparison as a judge sees it in ``order``."""
        return self if order is Order.AB else self.swap()

    @property
    def prompt_text(self) -> str:
        """The prompt as one text; turns are named only when there is more than one."""
        if len(self.prompt) == 1:
            return self.prompt[0].content
        return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in self.prompt)

    @property
    def unit(self) -> str:
        """What a bootstrap draws together: the group, or all comparisons of a prompt, whatever its case and white space."""
        return unit_of(self.group, self.prompt_text)


@dataclass(frozen=True, slots=True)
class LabeledComparison:
    """A comparison with its label and, if there is one, the rationale for it.

    ``target`` is how certain the label is, as P(A), P(B), P(tie), if a judge gave it; a judge may be trained on it.
    ``annotator`` is who gave the label, if the data say so.
    """

    comparison: Comparison
    label: Label
    rationale: str | None = None
    target: tuple[float, float, float] | None = None
    annotator: str | None = None

    def swap(self) -> LabeledComparison:
        """Exchange the responses, the label, its certainty and the rationale's references to them, all in one step."""
        rationale = None if self.rationale is None else swap_mentions(self.rationale)
        target = None if self.target is None else (self.target[1], self.target[0], self.target[2])
        return LabeledComparison(self.comparison.swap(), self.label.swap(), rationale, target, self.annotator)


MOST_RESPONSES = 64


@dataclass(frozen=True, slots=True)
class ResponseSet:
    """A prompt and the responses to it that are to be ranked; ``id`` is unique in its file.

    Raises:
        DataError: fewer than 2 responses or more than 64.
    """

    id: str
    prompt: tuple[Message, ...]
    responses: tuple[str, ...]

    @classmethod
    def of(cls, prompt: Prompt, responses: Sequence[str]) -> ResponseSet:
        """A set whose id is a digest of the texts. Also raises as ``Comparison.of`` does."""
        turns = as_messages(prompt)
        return cls(_digest(turns, *responses), turns, tuple(responses))

    def __post_init__(self) -> None:
        if not 2 <= len(self.responses) <= MOST_RESPONSES:
            raise DataError(f"{self.id}: a ranking takes 2 to {MOST_RESPONSES} responses, not {len(self.responses)}")


@dataclass(frozen=True, slots=True)
class SingleResponse:
    """A prompt and one response to it that is to be scored, with the references to score it against, if any."""

    id: str
    prompt: tuple[Message, ...]
    response: str
    references: tuple[str, ...] = ()

    @classmethod
    def of(cls, prompt: Prompt, response: str, references: Sequence[str] = ()) -> SingleResponse:
        """A response whose id is a digest of prompt and response. Raises as ``Comparison.of`` does."""
        turns = as_messages(prompt)
        return cls(_digest(turns, response), turns, response, tuple(references))


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """A prompt as chat turns: a plain string is one user turn; tool calls and results are written out (``gramr2.messages``).

    Raises:
        DataError: a message has an unknown role, or content that is not text.
    """
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    try:
        return tuple(turn.message for turn in read_turns(prompt, "prompt"))
    except BadRowError as error:
        raise DataError(str(error)) from None


def _digest(turns: Sequence[Message], *texts: str) -> str:
    content = json.dumps([[[turn.role, turn.content] for turn in turns], *texts])
    return text_hash(content, 8)
