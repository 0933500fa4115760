"""What is judged: a prompt with two responses and the label that a person or a judge gave, or with many to be ranked.

No torch in here, nothing mutable, and the one operation that matters: ``swap()``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.errors import DataError
from gramr2.hashing import text_hash
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
    "has_bare_mentions",
    "rename_mentions",
    "swap_mentions",
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


_NOUNS = "Response|Assistant|Answer|Argument|Option|Candidate|Reply|Completion|Model"
# “Answer a question” has an article: behind a space only a capital is a name.
_MENTION = re.compile(rf"\b((?i:{_NOUNS})s?)( (?=[AB]\b)|_)([ABab])\b")
# “Responses A and B”: the second letter has no noun of its own.
_PAIR = re.compile(rf"\b((?:{_NOUNS})s[ _])([AB])( and | or | & |/)([AB])\b", re.IGNORECASE)
_VERBS = (
    "is|was|has|had|does|did|gives|gave|wins|fails|says|answers|explains|provides|offers|contains|includes|makes|gets|beats|would|"
    "could|should|seems|looks|appears|covers|shows|uses|misses|lacks|ignores|follows|addresses|adds|goes|takes|states|claims|"
    "mentions|fits|reads|sounds|needs|tries|keeps|leaves|helps|feels|stays|remains|writes|cites"
)
# An “A” before a word is an article, unless only a name can stand there.
_BARE = re.compile(
    rf"(?<![\w'’-])(?:B(?!['’-]?\w)|[AB]['’]s\b|A(?=[^\w\s'’-]|[ \t]*(?:\n|$)| [<>=&/|]"
    rf"| (?:{_VERBS}|and B|or B|over|than|because|since|but|for|with|in|as|by|at|from|which|who|instead)\b(?!-)))"
)
# In small letters “response a” may be an article, and is left as it is; “response b” is not.
_SMALL = re.compile(rf"\b(?i:{_NOUNS}) (?:b\b|a (?:{_VERBS})\b)")
# Names by number or place; not “the right answer”, which is rather the correct one.
_PLACE = re.compile(
    rf"\b(?:(?:first|second|1st|2nd|former|latter|left|left-hand|right-hand) (?:{_NOUNS}|one|side)"
    rf"|the (?:former|latter)|the (?:first|second) (?:{_VERBS})|on the (?:left|right)|(?:{_NOUNS}) #?[12])\b",
    re.IGNORECASE,
)


def swap_mentions(text: str) -> str:
    """Rewrite “Response A” as “Response B” and back, for every noun in common use; an involution.

    Only explicit references are touched: a lone “A” is far more often an article than a response, and so is the “a” of “an answer
    a child could give”.
    """
    return rename_mentions(text, {"A": "B", "B": "A", "a": "b", "b": "a"})


def rename_mentions(text: str, names: Mapping[str, str]) -> str:
    """Rewrite the letters of explicit references, as in “Response A”; a letter in lower case that has no name of its own has that
    of its capital."""

    def named(letter: str) -> str:
        return names[letter] if letter in names else names[letter.upper()]

    def pair(match: re.Match[str]) -> str:
        return f"{match[1]}{named(match[2])}{match[3]}{named(match[4])}"

    def single(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{named(match[3])}"

    pieces: list[str] = []
    end = 0
    for found in _PAIR.finditer(text):
        pieces += [_MENTION.sub(single, text[end : found.start()]), pair(found)]
        end = found.end()
    return "".join([*pieces, _MENTION.sub(single, text[end:])])


def has_bare_mentions(text: str) -> bool:
    """Whether a text seems to name a response in a way that ``swap_mentions`` leaves: a lone “A” or “B”, “response b”, “the first
    response”."""
    left = _MENTION.sub("", _PAIR.sub("", text))
    return any(each.search(left) for each in (_BARE, _SMALL, _PLACE))


def turned(text: str | None) -> str | None:
    """A text that speaks of the responses, for the other order; None if there is none, or it names them in a way that cannot be
    exchanged."""
    return None if text is None or has_bare_mentions(text) else swap_mentions(text)


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
