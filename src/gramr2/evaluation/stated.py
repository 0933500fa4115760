"""Find by rule which response a rationale says is better, and remove such statements.

“Response A is better than Response B”, “B is worse”, “I prefer Answer A”, “A wins”, “both are equally good”. That a response
is “clearer” or “more complete” is a reason and is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gramr2.comparison import Label

NOUN = r"(?i:response|assistant|answer|argument|option|candidate|reply|completion|model)"
_ONE = rf"(?:\b(?:[Tt]he )?{NOUN}[ _])?\b([AB])\b(?:'s {NOUN})?"
_OTHER = rf"(?:{NOUN}[ _])?[AB]\b|the other(?: {NOUN})?\b|the (?:first|second)(?: {NOUN})?\b"
_ADVERBS = r"(?: (?:\w+ly|much|far|still|thus|a bit|hence|therefore))*"
_IS = rf"(?i:(?: is|'s| was| are| seems(?: to be)?| would be| remains){_ADVERBS}(?: the)?(?: \w+ly)?)"
_GOOD = r"(?i:better|best|stronger|superior|preferable|preferred|winner)"
_BAD = r"(?i:worse|worst|weaker|inferior|loser)"
_TAIL = rf"(?: {NOUN}\b(?! [AB]))?(?: (?:than|to|over) (?:{_OTHER})| of the two)?"
_SAYS: tuple[tuple[re.Pattern[str], bool | None], ...] = (
    (re.compile(rf"{_ONE}(?:{_IS} {_GOOD}|(?i: wins))\b{_TAIL}"), True),
    (re.compile(rf"{_ONE}(?:{_IS} {_BAD}|(?i: loses))\b{_TAIL}"), False),
    (re.compile(rf"(?i:\b(?:prefer|choose|pick|favou?r)(?:s|red)?|\b(?:winner|verdict)(?: is|:)) {_ONE}{_TAIL}"), True),
    (re.compile(rf"(?i:\bneither(?: {NOUN})?(?: is| one is) better\b)"), None),
    (re.compile(rf"(?i:\b(?:both|the two)(?: {NOUN}s)?(?: are)?(?: \w+ly)? (?:equal\b|equally \w+|tied\b))"), None),
    (re.compile(r"(?i:\b(?:it is|it's|this is) a (?:tie|draw)\b)"), None),
)
_LEANS = re.compile(rf"{_ONE}(?:{_IS}|(?i: (?:provide|give|offer)[sd]? an?| gave an?))(?: \w+ly)? (?i:(more)|less) \w+")
_CONCLUSION = re.compile(
    r"^[^\w\n]*+(?:final\s+)?(?:conclusion|verdict)[^\w:]*+:.*\Z", re.MULTILINE | re.DOTALL | re.IGNORECASE
)
_CLOSING = re.compile(r"\W*(?:in conclusion|in summary|to sum up|overall|therefore|thus|hence|so,)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_TAG = re.compile(r"<answer>.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """A verdict stated from ``start`` to ``end`` of a text; ``final`` if its sentence ends with it."""

    label: Label
    start: int
    end: int
    final: bool


def statements(text: str) -> list[Statement]:
    """The verdicts that a text states, in order of appearance."""
    found: list[Statement] = []
    for pattern, good in _SAYS:
        for match in pattern.finditer(text):
            label = Label.TIE if good is None else Label(match[1]) if good else Label(match[1]).swap()
            final = text[match.end() :].lstrip(" *")[:1] in ("", ".", "!", "\n")
            found.append(Statement(label, match.start(), match.end(), final))
    return sorted(found, key=lambda each: each.start)


def concluded(rationale: str) -> Label | None:
    """The verdict of the conclusion line if there is one, else of the closing sentence; None if it states none.

    A closing sentence that calls a response “more …” or “less …” counts as a choice, and a conclusion line that names only
    one response counts as a choice of it.
    """
    line = _CONCLUSION.search(rationale)
    closing = line[0] if line else _sentences(rationale)[-1]
    found = statements(closing)
    if found:
        return found[-1].label
    leaning = [Label(m[1]) if m[2] else Label(m[1]).swap() for m in _LEANS.finditer(closing)]
    if leaning:
        return leaning[-1]
    named = set(re.findall(rf"{NOUN}[ _]([AB])\b", closing)) if line else set()
    return Label(named.pop()) if len(named) == 1 else None


def contradicts(rationale: str, verdict: Label) -> bool:
    """Whether the conclusion, or a sentence that ends with a verdict, states a different one."""
    last = concluded(rationale)
    return last not in (None, verdict) or any(s.final and s.label is not verdict for s in statements(rationale))


def unsaid(rationale: str) -> str:
    """The rationale without its conclusion, and with “…” in place of other statements of a verdict; responses stay named."""
    text = _TAG.sub("", rationale)
    body = _CONCLUSION.sub("", text)
    if body == text:
        last = _sentences(text)[-1]
        if statements(last) or _CLOSING.match(last):
            body = text.rstrip().removesuffix(last)
    # Statements may overlap, and what is left of two may read as a third: the “…” keeps it apart.
    while found := statements(body):
        body = f"{body[: found[-1].start]}…{body[found[-1].end :]}"
    return body.strip()


def _sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(text.strip())
