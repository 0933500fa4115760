"""Numbers and texts formatted for readers, in tables and reports."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u061c\u200e\u200f\ud800-\udfff]")
"""control characters but tab and newline, those that change the direction of the text around them, and halves of surrogate
pairs, which no output can encode"""


def visible(text: str) -> str:
    """The text with every character that a terminal would act on written as ``\\u001b``.

    In JSON that is the same character, so JSON stays what it was.
    """
    return _ACTS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def closest(given: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant by a name that there is not, whatever its case; None if none is like it."""
    names = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(given.casefold(), names, n=1)
    return names[found[0]] if found else None


def hint(given: str, known: Iterable[str]) -> str:
    """“ (did you mean rewardbench?)”, to go after a name that there is not; empty if no known one is like it."""
    meant = closest(given, known)
    return f" (did you mean {meant}?)" if meant else ""


def encodable(value: Any) -> Any:
    """A text, or texts in lists and mappings, with halves of surrogate pairs written out, since no other program could read
    them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {encodable(key): encodable(each) for key, each in value.items()}
    return [encodable(each) for each in value] if isinstance(value, list | tuple) else value


def percent(value: float | None) -> str:
    """“61.3 %”, or a dash for what was not measured."""
    # Adding zero takes the sign from a negative zero.
    return "–" if value is None else f"{round(100 * value, 1) + 0.0:.1f} %"


def signed(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}"


class Bounded(Protocol):
    """A figure with its interval."""

    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def coefficient(found: Bounded) -> str:
    """“0.43 (0.31 to 0.55)”, for a κ or an α, or a dash where it is not defined."""
    if found.value is None:
        return "–"
    # Adding zero takes the sign from a negative zero.
    value, low, high = (None if each is None else round(each, 2) + 0.0 for each in (found.value, found.low, found.high))
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"


def more_of(more: int | None, known: str) -> str:
    """How many more items an answer takes: a dash where no number would do, ``known`` where it is known already."""
    return "–" if more is None else known if more == 0 else f"{more:,}"


def three_digits(value: Any) -> str:
    """Three significant digits of a float, anything else as it is, or a dash for what was not measured."""
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def p_value(value: float) -> str:
    """“p = 0.041”, or “p < 0.001”: a p-value is never zero."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def duration(seconds: float) -> str:
    """A time in two or three digits: 40 s, 12 min, 3.5 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def counted(value: float) -> str:
    """A large number in three digits: 12, 4.21 k, 17.3 M, 2.5 G."""
    for unit in ("", "k", "M", "G", "T", "P", "E", "Z"):
        if abs(value) < 999.5 or unit == "Z":
            break
        value /= 1000
    digits = 0 if not unit or value >= 99.5 else 1 if value >= 9.95 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def warm_up_line(report: Mapping[str, Any]) -> str:
    """What a warm-up cost and what it changed, from its report."""
    left_out = f", {report['left_out']} left out as too long" if report["left_out"] else ""
    cost = f"Warm-up on {report['examples']} texts, {report['tokens']} tokens{left_out}, {duration(report['seconds'])}"
    if report["before"] is None:
        return f"{cost}; no text was held out, so its effect is not known."
    return (
        f"{cost}; loss per token of the responses in {report['held_out']} held-out texts "
        f"{report['before']:.3f} → {report['after']:.3f}."
    )
