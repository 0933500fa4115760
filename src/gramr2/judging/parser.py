"""Read a verdict from what a judge wrote: only the generation, after its thinking, in every format of published judges.

A format that is present but ambiguous or empty ends the search: what one format leaves unclear is not settled by another.
Text after ``</answer>`` is never read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from gramr2.comparison import Label
from gramr2.judgment import Outcome


class VerdictFormat(StrEnum):
    """The ways in which published judges state a verdict."""

    ANSWER_SCORES = "answer-scores"
    TAG = "tag"
    GRADES = "grades"
    BRACKETS = "brackets"
    RESULT = "result"
    BOXED = "boxed"
    SCORES = "scores"
    JSON = "json"


ALL_FORMATS = tuple(VerdictFormat)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Outcome, rationale (the thinking, or the text before the verdict), and the format in which the verdict was found."""

    outcome: Outcome
    rationale: str | None
    format: VerdictFormat | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A format that is present at ``start``; ``label`` is None if it states no verdict."""

    start: int
    label: Label | None


_NOUN = r"(?:response|assistant|answer|option|model|candidate)"
_ONE = re.compile(rf"(?:{_NOUN}[ _])?\(?(a|b|1|2|tie|equal|same|draw)\)?\.?", re.IGNORECASE)
_GRADE = re.compile(r"([AB])\s*(>>|>|=|<<|<)\s*([AB])", re.IGNORECASE)
_LABELS = {"a": Label.A, "1": Label.A, "b": Label.B, "2": Label.B, "c": Label.TIE}
_LABELS |= dict.fromkeys(("tie", "equal", "same", "draw"), Label.TIE)
_ANSWER = re.compile(r"<answer>([^<]{0,400})</answer>", re.IGNORECASE)
_OPEN_ANSWER = re.compile(r"<answer>", re.IGNORECASE)
_DOUBLE = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)
_GRADED = re.compile(r"\[\[\s*([AB]\s{0,3}(?:>>|>|=|<<|<)\s{0,3}[AB])\s*\]\]", re.IGNORECASE)
_RESULT = re.compile(r"\[RESULT\s{0,3}(?:\]|:)", re.IGNORECASE)
_CHOSEN = re.compile(r"[\s:*\"'(]*+(?:response\s{1,3})?(A|B|tie)[\"')\]]*+[ \t.*]*+(?:[\r\n]|\Z)", re.IGNORECASE)
# White space is matched possessively: given back one by one, 8,000 spaces took seconds.
_BOXED = re.compile(r"\\boxed\{\s*+(?:\\(?:text|textbf|mathrm)\{([^{}]{0,80})\}\s*+|([^{}]{0,200}))\}")
_SCORE = {side: re.compile(rf"<score_{side}>([^<]{{0,40}})</score_{side}>", re.IGNORECASE) for side in "AB"}
_KEYS = ("winner", "verdict", "better", "answer", "preference", "choice", "label")
_OBJECT = re.compile(r"\{[ \t\n\r]*+[\"}]")
# An object is a tuple of pairs and an array a list. Numbers stay texts: a long one is an error of its own.
_JSON = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, strict=False)


def parse(text: str, *, truncated: bool = False, formats: Collection[VerdictFormat] = ALL_FORMATS) -> Parsed:
    """Read one completion.

    Args:
        text: what the judge wrote, with its prefilled beginning but without the prompt.
        truncated: the completion hit its token limit; an incomplete verdict then counts as truncated.
        formats: which formats to look for.
    """
    failure = Outcome.TRUNCATED if truncated else Outcome.UNPARSEABLE
    thinking, closed, rest = text.rpartition("</think>")
    if not closed:
        opened = text.rfind("<think>")
        if opened >= 0:
            return Parsed(failure, text[opened + len("<think>") :].strip() or None)
        thinking, rest = "", text
    rationale = thinking.partition("<think>")[2] if "<think>" in thinking else thinking
    for kind in VerdictFormat:
        found = _READERS[kind](rest) if kind in formats else None
        if found is not None:
            said = rationale.strip() or (rest[: found.start].strip() if not closed else "")
            unfinished = truncated and found.label is None
            outcome = (
                Outcome.of(found.label) if found.label else Outcome.TRUNCATED if unfinished else Outcome.UNPARSEABLE
            )
            return Parsed(outcome, said or None, kind)
    return Parsed(failure, rationale.strip() or (rest.strip() if not closed else "") or None)


def _label(text: str) -> Label | None:
    """The verdict of a text that consists of nothing else: “A”, “[[B]]”, “Response A”, “2”, “tie”, “A>>B”."""
    inner = text.strip()
    bracketed = inner.startswith("[[") and inner.endswith("]]")
    inner = inner[2:-2].strip() if bracketed else inner
    grade = _GRADE.fullmatch(inner)
    if grade:
        return _grade(grade)
    if bracketed and inner.lower() == "c":
        return Label.TIE
    one = _ONE.fullmatch(inner)
    return _LABELS[one[1].lower()] if one else None


def _grade(match: re.Match[str]) -> Label | None:
    left, sign, right = match[1].upper(), match[2], match[3].upper()
    if left == right:
        return None
    if sign == "=":
        return Label.TIE
    return Label(left if sign.startswith(">") else right)


def _answer_scores(text: str) -> _Found | None:
    elements = list(_ANSWER.finditer(text))
    if len(elements) != 2:
        return None
    scores = [_number(element[1]) for element in elements]
    if None in scores:
        return None
    return _Found(elements[0].start(), _higher(scores[0], scores[1]))


def _tag(text: str) -> _Found | None:
    elements = list(_ANSWER.finditer(text))
    opened = [match.start() for match in _OPEN_ANSWER.finditer(text)]
    if not opened:
        return None
    if not elements or opened[-1] > elements[-1].start():
        # The last element is open: it was cut off, or the model stopped inside it. Half an element is not a verdict.
        return _Found(opened[-1], None)
    return _Found(elements[-1].start(), _label(elements[-1][1]))


def _agreed(found: list[tuple[int, Label | None]]) -> _Found | None:
    if not found:
        return None
    labels = {label for _, label in found}
    return _Found(found[0][0], labels.pop() if len(labels) == 1 else None)


def _grades(text: str) -> _Found | None:
    return _agreed([(match.start(), _label(match[1])) for match in _GRADED.finditer(text)])


def _brackets(text: str) -> _Found | None:
    return _agreed([(match.start(), _label(match[0])) for match in _DOUBLE.finditer(text)])


def _result(text: str) -> _Found | None:
    """What stands alone after the last words of Prometheus: “[RESULT] A” is a verdict, “[RESULT] A is longer” is none."""
    marks = list(_RESULT.finditer(text))
    chosen = [match for mark in marks if (match := _CHOSEN.match(text, mark.end()))]
    if marks and not chosen:
        return _Found(marks[0].start(), None)
    return _agreed([(marks[0].start(), _label(match[1])) for match in chosen])


def _boxed(text: str) -> _Found | None:
    boxes = list(_BOXED.finditer(text))
    return _Found(boxes[-1].start(), _label(boxes[-1][1] or boxes[-1][2] or "")) if boxes else None


def _scores(text: str) -> _Found | None:
    pairs = {side: list(pattern.finditer(text)) for side, pattern in _SCORE.items()}
    if not any(pairs.values()):
        return None
    start = min(found[0].start() for found in pairs.values() if found)
    if not all(pairs.values()):
        return _Found(start, None)
    return _Found(start, _higher(_number(pairs["A"][-1][1]), _number(pairs["B"][-1][1])))


def _json(text: str) -> _Found | None:
    """The last verdict that an object states, unless another one, or another key of it, states a different one."""
    stated = [(start, *verdict) for start, value in _objects(text) for verdict in _verdicts(value)]
    if not stated:
        return None
    start, label, _ = stated[-1]
    agreed = len(set().union(*(labels for _, _, labels in stated))) <= 1
    return _Found(start, label if agreed else None)


def _objects(text: str) -> Iterator[tuple[int, object]]:
    """The outermost objects and where they start, in linear time: no part of a text is decoded twice.

    What is nested in a broken object is left out: it may be the verdict on a single criterion.
    """
    ends: dict[int, int] | None = None
    place = 0
    while match := _OBJECT.search(text, place):
        start = match.start()
        try:
            value, place = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            ends = _closed(text) if ends is None else ends
            broken = error.pos if isinstance(error, json.JSONDecodeError) else len(text)
            place = max(broken, ends.get(start, 0))
        else:
            yield start, value


def _closed(text: str) -> dict[int, int]:
    """For each brace that is closed, where its contents end; what is a string is not known here."""
    ends, opened = {}, []
    for brace in re.finditer(r"[{}]", text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            ends[opened.pop()] = brace.end()
    return ends


def _verdicts(value: object) -> Iterator[tuple[Label | None, set[Label]]]:
    """What the outermost objects that name a verdict state, in their order; what is nested in such an object does not count."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += reversed(each)
        elif isinstance(each, tuple):
            verdict = _stated([(key.lower(), entry) for key, entry in each if not isinstance(entry, list | tuple)])
            if verdict is None:
                left += reversed([entry for _, entry in each])
            else:
                yield verdict


def _stated(entries: list[tuple[str, object]]) -> tuple[Label | None, set[Label]] | None:
    """The label under the first key that names a verdict, and all labels under such keys; None if there is no such key.

    A key may occur twice: JSON allows it, and its readers take the last one.
    """
    verdicts = [(key, _entry(entry)) for key, entry in entries if key in _KEYS]
    if verdicts:
        first = min((key for key, _ in verdicts), key=_KEYS.index)
        labels = {label for _, label in verdicts if label is not None}
        return next(label for key, label in verdicts if key == first), labels
    scores = dict(entries)
    if "score_a" in scores and "score_b" in scores:
        label = _higher(_number(scores["score_a"]), _number(scores["score_b"]))
        return label, set() if label is None else {label}
    return None


def _entry(entry: object) -> Label | None:
    return _label(str(entry)) if isinstance(entry, str | int) and not isinstance(entry, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _higher(a: float | None, b: float | None) -> Label | None:
    if a is None or b is None:
        return None
    return Label.TIE if a == b else Label.A if a > b else Label.B


_READERS: dict[VerdictFormat, Callable[[str], _Found | None]] = {
    VerdictFormat.ANSWER_SCORES: _answer_scores,
    VerdictFormat.TAG: _tag,
    VerdictFormat.GRADES: _grades,
    VerdictFormat.BRACKETS: _brackets,
    VerdictFormat.RESULT: _result,
    VerdictFormat.BOXED: _boxed,
    VerdictFormat.SCORES: _scores,
    VerdictFormat.JSON: _json,
}
