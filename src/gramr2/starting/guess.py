"""A guess at which columns of an unknown file are the prompt, the responses and the label: proposed as flags, never taken."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean

_DECIDED = (
    ("chosen", "rejected"),
    ("better", "worse"),
    ("preferred", "other"),
    ("winner", "loser"),
    ("win", "lose"),
    ("good", "bad"),
)
_PAIRS = (("left", "right"), ("first", "second"), ("a", "b"), ("1", "2"), ("0", "1"), *_DECIDED)
_LABELS = re.compile(r"label|pref|winner|choice|verdict|vote|better|judg|selected|answer", re.IGNORECASE)
_PROMPTS = re.compile(r"prompt|question|^q$|query|instruction|task|input|ask|topic|issue", re.IGNORECASE)
MOST_LABELS = 6
"""different values of a column that may be labels"""


def guessed(rows: Sequence[Mapping[object, object]]) -> str:
    """Flags such as ``--columns prompt=q --columns responses=left,right``; empty if nothing can be guessed."""
    values = {
        str(name): [str(row[name]) for row in rows if row.get(name) not in (None, "")]
        for name in dict.fromkeys(name for row in rows for name in row)
    }
    pairs = [(a, b) for a, b in combinations(values, 2) if _twins(a, b)]
    if not pairs:
        return ""
    responses = max(pairs, key=lambda pair: _length(values[pair[0]]) + _length(values[pair[1]]))
    rest = {name: found for name, found in values.items() if name not in responses and found}
    labels = [name for name, found in rest.items() if _few(found)]
    texts = {name: found for name, found in rest.items() if name not in labels and not _numbers(found)}
    if not texts:
        return ""
    prompt = max(texts, key=lambda name: (bool(_PROMPTS.search(name)), _length(texts[name])))
    halves = _halves(*responses)
    if any(halves in (each, each[::-1]) for each in _DECIDED):
        chosen, rejected = responses if halves in _DECIDED else responses[::-1]
        mapped = [f"prompt={prompt}", f"chosen={chosen}", f"rejected={rejected}"]
    else:
        label = next((name for name in labels if _LABELS.search(name)), labels[0] if labels else None)
        mapped = [f"prompt={prompt}", f"responses={','.join(responses)}"] + ([f"label={label}"] if label else [])
    flags = [f"--columns {shlex.quote(each)}" for each in mapped]
    return " ".join(flags + [f"--ignore {shlex.quote(name)}" for name in texts if name != prompt])


def _halves(a: str, b: str) -> tuple[str, str]:
    """What two names differ in: left_text and right_text in left and right."""
    one, two = (re.findall(r"[^\W\d_]+|\d+", name.lower()) for name in (a, b))
    if len(one) != len(two):
        return "", ""
    different = [(x, y) for x, y in zip(one, two, strict=True) if x != y]
    return different[0] if len(different) == 1 else ("", "")


def _twins(a: str, b: str) -> bool:
    halves = _halves(a, b)
    return halves in _PAIRS or halves[::-1] in _PAIRS


def _length(values: Sequence[str]) -> float:
    return fmean(map(len, values)) if values else 0.0


def _few(values: Sequence[str]) -> bool:
    return len(values) > 1 and len(set(values)) <= min(MOST_LABELS, len(values) - 1) and _length(values) < 30


def _numbers(values: Sequence[str]) -> bool:
    return all(re.fullmatch(r"[-+\d.eE]+", each) for each in values)
