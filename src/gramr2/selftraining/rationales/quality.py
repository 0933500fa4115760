"""Measures of a rationale that need no model: length, repetition, structure, quotations, principles, conclusion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gramr2.comparison import Label, LabeledComparison
from gramr2.judging.quotations import occurring, quotations
from gramr2.judging.template import CONCLUSIONS, shown_texts

_TOGETHER = re.compile(r"\b(?:both|each|the two) responses?\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_COMMON_WORDS = """
about after also answer answers avoid because been before being best better both could does each
every from give gives have into less like make makes more most must never only other over prefer
response responses same should some than that their them then there these they this those very what
when where which while will with without would your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
STEM = 5


class Conclusion(StrEnum):
    """Whether a rationale's last “Conclusion:” line states its label; another verdict anywhere in the text contradicts too."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of one rationale; shares are in [0, 1], and 1 is good except for ``repetition``."""

    words: int
    repetition: float
    names_both: bool
    conclusion: Conclusion
    quotes: float
    principles: float

    @property
    def score(self) -> float:
        """The mean of its parts, in [0, 1]; used to choose among rationales for the same label."""
        parts = [
            float(self.names_both),
            float(self.conclusion is Conclusion.AGREES),
            1 - self.repetition,
            self.quotes,
            self.principles,
        ]
        return sum(parts) / len(parts)


def assess(example: LabeledComparison, principles: Sequence[str] = ()) -> Quality:
    """Measure an example's rationale against its own comparison and label."""
    text = example.rationale or ""
    words = text.split()
    return Quality(
        words=len(words),
        repetition=repetition(words),
        names_both=("Response A" in text and "Response B" in text) or _TOGETHER.search(text) is not None,
        conclusion=_conclusion(text, example.label),
        quotes=quoted_share(text, shown_texts(example.comparison)),
        principles=addressed_share(text, principles),
    )


def repetition(words: Sequence[str], size: int = 4) -> float:
    """Share of word 4-grams that occurred earlier in the text; 0 for texts too short to have one."""
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def quoted_share(text: str, sources: Sequence[str]) -> float:
    """Share of the quotations in a text that occur in one of the sources; 1 when nothing is quoted.

    Case, white space and punctuation at the ends of a quotation are ignored. Quotations of one or two characters are no
    evidence and do not count.
    """
    found = occurring(quotations(text), sources)
    return sum(found) / len(found) if found else 1.0


def addressed_share(text: str, principles: Sequence[str]) -> float:
    """Share of the principles that a text addresses; 1 when there are none.

    A principle is addressed if the text names it (“principle 2”), or has at least half of its content words (compared by
    their first five letters). This tells whether a principle is mentioned, not whether it is applied well.
    """
    stems = {word[:STEM] for word in _WORD.findall(text.casefold())}

    def addressed(number: int, principle: str) -> bool:
        if re.search(rf"\bprinciple {number}\b", text, re.IGNORECASE):
            return True
        wanted = {w[:STEM] for w in _WORD.findall(principle.casefold()) if len(w) > 3 and w not in _COMMON}
        return bool(wanted) and len(wanted & stems) * 2 >= len(wanted)

    hits = [addressed(number, principle) for number, principle in enumerate(principles, 1)]
    return sum(hits) / len(hits) if hits else 1.0


def _conclusion(text: str, label: Label) -> Conclusion:
    found = re.findall(r"^Conclusion:.*$", text, re.MULTILINE)
    if not found:
        return Conclusion.MISSING
    others = [sentence.removeprefix("Conclusion: ") for each, sentence in CONCLUSIONS.items() if each is not label]
    # A small judge may state one verdict in its comparison and another in its conclusion.
    agrees = found[-1].strip() == CONCLUSIONS[label] and not any(sentence in text for sentence in others)
    return Conclusion.AGREES if agrees else Conclusion.CONTRADICTS
