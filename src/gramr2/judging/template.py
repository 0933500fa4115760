"""What a judge is shown and what it is expected to write.

The rules come first, so that every prompt of a run begins with the same tokens and they are computed once. The whole
prompt is one user turn: some chat templates refuse a system turn, none refuses a user turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.backends.base import VerdictReading
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.hashing import text_hash
from gramr2.judging.parser import Parsed, parse
from gramr2.judging.quoting import quote, unquote
from gramr2.judgment import REASONED, ReadingWeights
from gramr2.written import Written, joined, own

HEADERS = ("[Prompt]", "[Response A]", "[Response B]", "[End]")
OPENING = "Feedback:"
_TAGS = re.compile(r"</?(?:think|answer)>")

CONCLUSIONS = {
    Label.A: "Conclusion: Response A is better.",
    Label.B: "Conclusion: Response B is better.",
    Label.TIE: "Conclusion: Neither response is better.",
}

# Every word here costs tokens in each training example: these rules are a third of a short prompt.
_TASK = (
    "Which response serves the prompt better: correct, complete, to the point, safe, in the form asked for? "
    "Ignore the order and the length of the responses."
)
_REASON = (
    "Reason inside <think></think>: Feedback, Comparison, Conclusion. Then give the verdict: "
    "<answer>A</answer>, <answer>B</answer> or <answer>tie</answer>."
)
_LABEL = "Give the verdict alone: <answer>A</answer>, <answer>B</answer> or <answer>tie</answer>."


class JudgeMode(StrEnum):
    """Whether the judge reasons before its verdict (GRAM-R²) or gives the verdict alone (GRAM)."""

    REASON = "reason"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class JudgeTemplate:
    """Renders comparisons, and the answers a judge is trained to give.

    ``principles`` are one-sentence criteria that the judge is asked to address; ``shots`` are examples shown as earlier turns
    of the conversation, for a judge that is prompted instead of trained. ``readings`` says which verdicts of a reasoning
    judge are read, and the weight of each; it does not change the prompt.
    """

    mode: JudgeMode = JudgeMode.REASON
    principles: tuple[str, ...] = ()
    shots: tuple[LabeledComparison, ...] = ()
    readings: ReadingWeights = REASONED

    @property
    def rules(self) -> str:
        """The instructions every prompt begins with."""
        listed = "".join(f"\n{i}. {text}" for i, text in enumerate(self.principles, 1))
        principles = f"\nJudge by these principles:{listed}\n" if listed else " "
        return f"{_TASK}{principles}{_REASON if self.mode is JudgeMode.REASON else _LABEL}"

    @property
    def reasons(self) -> bool:
        """Whether rationales are written for it: its direct reading alone writes none."""
        return self.mode is JudgeMode.REASON and self.readings.reasoned > 0

    @property
    def prefill(self) -> str:
        """The start of the answer, given to the model.

        It holds the first word of the rationale: a judge trained on labels alone would otherwise answer at once, inside its
        own thinking.
        """
        return own(f"<think>\n{OPENING}" if self.mode is JudgeMode.REASON else "<answer>")

    @property
    def hash(self) -> str:
        """Twelve hex digits over everything that shapes the prompt; part of each journal key."""
        shown = [part for turn in self._shown() for part in (turn.role, turn.content)]
        parts = "\x00".join([self.rules, *HEADERS, self.prefill, *shown])
        return text_hash(parts, 6)

    def render(self, comparison: Comparison) -> tuple[Message, ...]:
        """The prompt for a comparison, with the responses in the order of the comparison."""
        return (*self._shown(), Message("user", joined(own(f"{self.rules}\n\n"), sections(comparison))))

    def _shown(self) -> tuple[Message, ...]:
        turns: list[Message] = []
        for shot in self.shots:
            turns += replace(self, shots=()).render(shot.comparison)
            turns.append(Message("assistant", joined(*self.answer(shot.label, shot.rationale))))
        return tuple(turns)

    @property
    def tagged(self) -> bool:
        """Whether its answers have tags between which a verdict is read, so that they can be guided."""
        return True

    def read(self, text: str, *, truncated: bool = False) -> Parsed:
        """The verdict in an answer, in any format of published judges."""
        return parse(text, truncated=truncated)

    def verdict_reading(self, *, guided: bool = True, close_on_budget: bool = False) -> VerdictReading:
        """Where the backend finds the label in this template's answers."""
        return VerdictReading(guided=guided, close_on_budget=close_on_budget)

    def answer(self, label: Label, rationale: str | None) -> tuple[str, ...]:
        """The answer to train on, y = rationale ⊕ verdict, in pieces whose ends are token boundaries.

        The pieces are those of guided decoding, so training and inference see the same tokens; the rationale's is data.
        """
        if self.mode is JudgeMode.LABEL or rationale is None:
            return (own("<answer>"), own(label.value), own("</answer>"))
        text = complete(rationale, label).removeprefix(OPENING)
        return (self.prefill, text, own("\n</think>\n<answer>"), own(label.value), own("</answer>"))

    def conversation(
        self, comparison: Comparison, label: Label, rationale: str | None
    ) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """Prompt and answer to train on.

        Without a rationale both take the label-only form: asking for reasons and training their absence would teach a
        reasoning judge to stop reasoning.
        """
        form = self if rationale is not None else replace(self, mode=JudgeMode.LABEL)
        return form.render(comparison), form.answer(label, rationale)


def sections(comparison: Comparison) -> Written:
    """Prompt and responses under their headers, with look-alikes of the headers marked (``gramr2.judging.quoting``)."""
    return sections_of(zip(HEADERS, (comparison.prompt_text, *comparison.responses), strict=False))


def sections_of(named: Iterable[tuple[str, str]]) -> Written:
    """Texts under headers, with look-alikes of the headers marked, and the end marked."""
    shown = (part for header, text in named for part in (own(f"{header}\n"), quote(text), own("\n")))
    return joined(*shown, own(HEADERS[-1]))


def shown_texts(comparison: Comparison) -> tuple[str, ...]:
    """Prompt and responses as they are and, where that differs, as a judge sees and may quote them."""
    texts = (comparison.prompt_text, *comparison.responses)
    return (*texts, *(shown for text in texts if (shown := quote(text)) != text))


def extract(messages: tuple[Message, ...]) -> tuple[str, str, str]:
    """Prompt, response A and response B of a rendered prompt, whatever its rules: the inverse of ``render``.

    Raises:
        ValueError: the messages were not rendered by a ``JudgeTemplate``.
    """
    pattern = "\n".join(f"{re.escape(header)}\n(.*?)" for header in HEADERS[:-1]) + f"\n{re.escape(HEADERS[-1])}"
    found = re.search(rf"\n\n{pattern}\Z", messages[-1].content, re.DOTALL)
    if found is None:
        raise ValueError("not a prompt rendered by a judge template")
    return unquote(found[1]), unquote(found[2]), unquote(found[3])


def complete(rationale: str, label: Label) -> str:
    """A rationale in the judge's form: it opens with “Feedback:” and ends in a conclusion.

    The text is kept; the opening and the conclusion of ``label`` are added where they are missing, and tags, which would
    end the thinking early, are removed.
    """
    text, before = rationale, ""
    while text != before:
        # Two halves of a tag around another one make a tag.
        text, before = _TAGS.sub("", text), text
    text = text.strip()
    text = text if text.startswith(OPENING) else f"{OPENING} {text}"
    return text if re.search(r"^Conclusion:", text, re.MULTILINE) else f"{text}\n{CONCLUSIONS[label]}"
