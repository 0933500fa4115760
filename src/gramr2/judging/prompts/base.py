"""A prompt that the field knows: two texts with places for a question and two answers, and how its verdict is written.

A model that is asked with it writes as its users expect, and its verdict is read from that: nothing is guided or prefilled.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gramr2.backends.base import VerdictReading
from gramr2.comparison import Comparison, Label, Message
from gramr2.errors import ConfigError
from gramr2.hashing import text_hash
from gramr2.judging.markers import Markers
from gramr2.judging.parser import Parsed, VerdictFormat, parse
from gramr2.judging.template import JudgeTemplate
from gramr2.judgment import Outcome
from gramr2.written import joined, own

QUESTION, ANSWER_A, ANSWER_B = "question", "answer_a", "answer_b"
PLACES: Mapping[str, str] = {
    **dict.fromkeys(("question", "question_1", "QUESTION", "instruction", "orig_instruction"), QUESTION),
    **dict.fromkeys(("answer_a", "answer_1", "ANSWER_A", "response_A", "response_a"), ANSWER_A),
    **dict.fromkeys(("answer_b", "answer_2", "ANSWER_B", "response_B", "response_b"), ANSWER_B),
}
"""the names that published prompts have for the three places"""


@dataclass(frozen=True, slots=True)
class FieldPrompt:
    """A pairwise prompt.

    Args:
        name: what it is called; it changes nothing.
        user: the text of the user's turn, in the form of ``str.format``: ``{question}``, ``{answer_a}``, ``{answer_b}``, and
            ``{{`` for a brace.
        system: the text of the system's turn, as it is; empty for no such turn.
        formats: in which the verdict may be written.
        ties: whether a tie is a verdict; if not, one is unparseable.
        form_of: which published prompt has this form, and its licence.

    Raises:
        ConfigError: a place is missing or unknown, or no format is named.
    """

    name: str = field(compare=False, repr=False)
    user: str
    system: str = ""
    formats: tuple[VerdictFormat, ...] = (VerdictFormat.BRACKETS,)
    ties: bool = True
    form_of: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.formats:
            raise ConfigError(f"the prompt {self.name} names no verdict format: take {', '.join(VerdictFormat)}")
        found = [place for _, place in self.pieces() if place]
        missing = [place for place in (QUESTION, ANSWER_A, ANSWER_B) if place not in found]
        if missing:
            raise ConfigError(f"the prompt {self.name} has no place {{{missing[0]}}} in its user text: add it")

    def pieces(self) -> Iterator[tuple[str, str | None]]:
        """Texts of the user's turn, each with the place that follows it, if one does.

        Raises:
            ConfigError: a brace is not closed, or a place is unknown.
        """
        try:
            parsed = [*string.Formatter().parse(self.user)]
        except ValueError as error:
            raise ConfigError(
                f"the prompt {self.name} has a brace too many ({error}): write {{{{ for a brace"
            ) from error
        for text, name, form, conversion in parsed:
            if name is not None and (name not in PLACES or form or conversion):
                raise ConfigError(
                    f"the prompt {self.name} has a place {{{name}}}, which nothing fills: only {{question}}, {{answer_a}} and "
                    "{answer_b} are; a prompt file may give the text of others under fill"
                )
            yield text, None if name is None else PLACES[name]


@dataclass(frozen=True, slots=True)
class FieldTemplate(JudgeTemplate):
    """A ``FieldPrompt`` where a judge expects its template. It has no tags, so no verdict is read at a token, and none is guided;
    it cannot be trained on. ``one_turn`` is for a model that takes no system's turn: the user's begins with its text."""

    prompt: FieldPrompt = field(kw_only=True)
    one_turn: bool = field(default=False, kw_only=True)

    @property
    def rules(self) -> str:
        """Everything that the prompt writes."""
        return f"{self.prompt.system}\n{self.prompt.user}"

    @property
    def prefill(self) -> str:
        """Nothing: the answer is the model's own."""
        return own("")

    @property
    def tagged(self) -> bool:
        """False: see the class."""
        return False

    @property
    def hash(self) -> str:
        """Twelve hex digits over the texts and how the verdict is read."""
        return text_hash(f"{self.prompt!r} {self.one_turn}", 6)

    def render(self, comparison: Comparison) -> tuple[Message, ...]:
        """The prompt for a comparison; look-alikes of what the prompt itself writes are marked in question and answers."""
        texts = dict(zip((QUESTION, ANSWER_A, ANSWER_B), (comparison.prompt_text, *comparison.responses), strict=True))
        marks = markers_of(self.prompt)
        shown: list[str] = []
        for text, place in self.prompt.pieces():
            shown += [own(text), *(() if place is None else (marks.quote(texts[place]),))]
        system = own(self.prompt.system)
        if not system:
            return (Message("user", joined(*shown)),)
        if self.one_turn:
            return (Message("user", joined(system, own("\n\n"), *shown)),)
        return (Message("system", system), Message("user", joined(*shown)))

    def read(self, text: str, *, truncated: bool = False) -> Parsed:
        """The verdict in an answer, in the formats of the prompt."""
        found = parse(text, truncated=truncated, formats=self.prompt.formats)
        if found.outcome is Outcome.TIE and not self.prompt.ties:
            return Parsed(Outcome.UNPARSEABLE, found.rationale, found.format)
        return found

    def verdict_reading(self, *, guided: bool = True, close_on_budget: bool = False) -> VerdictReading:
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"the prompt {self.prompt.name} has no tags in which a verdict could be read: leave it out")

    def answer(self, label: Label, rationale: str | None) -> tuple[str, ...]:
        """There is none to train on. Raises as ``verdict_reading`` does."""
        raise ConfigError(f"the prompt {self.prompt.name} is for judging and not for training: leave it out")


@lru_cache(16)
def markers_of(prompt: FieldPrompt) -> Markers:
    """What a prompt writes around the places for question and answers, which no text may imitate."""
    lines: list[str] = []
    beginnings: list[str] = []
    line, whole = "", True
    for text, place in prompt.pieces():
        first, *others = text.split("\n")
        line += first
        for other in others:
            lines += [line] if whole else []
            line, whole = other, True
        if place is not None:
            beginnings += [line] if whole else []
            line, whole = "", False
    return Markers([*lines, *([line] if whole else [])], beginnings)
