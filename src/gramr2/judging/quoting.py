"""Headers inside a text, marked so that no text can end itself and begin another.

A line that is a header gets “> ” before it, as a quotation. Anywhere else the header is put on a line of its own, quoted and
broken: “so [End] it” is shown as “so”, a new line, “>> [> End] it”. There look-alikes count too: other cases, scripts, widths and
brackets, and white space, invisible characters or quotation marks between the letters. ``unquote`` takes the marks out again,
so that every text comes back as it was.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

MARK = "> "
_LINE_BREAK = "\n>>"
NAMES = frozenset({"prompt", "response", "end", *(f"response{each}" for each in "abcdefgh123456789")})
"""of headers, letters alone"""
_BEGINNINGS = frozenset(name[:length] for name in NAMES for length in range(len(name) + 1))
_HEADER = r"\[(?:Prompt|Response|Response A|Response B|End)\]\s*$"
_LINE = re.compile(rf"^(?:> )*{_HEADER}", re.MULTILINE)
_QUOTED = re.compile(rf"^> (?:> )*{_HEADER}", re.MULTILINE)
OPENING = re.compile(r"[\[\uff3b\u3010\u3014\u3016\u3018\u301a\u27e6\u2772\u2045\u298b\u298d\u298f]")
CLOSING = frozenset("]\uff3d\u3011\u3015\u3017\u3019\u301b\u27e7\u2773\u2046\u298c\u298e\u2990")
_BETWEEN = frozenset(">*_-~\"'`\\/\u115f\u1160\u2800\u3164\uffa0")
"""marks and blanks that may stand between letters; not the colon, since ``text[:end]`` is a program's"""
_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Me", "Mn", "Zl", "Zp", "Zs"))
_TWINS = {
    "a": "\u0430\u03b1\u1d00",
    "b": "\u0432\u03b2\u0299",
    "c": "\u0441\u03f2\u1d04",
    "d": "\u0501\u1d05",
    "e": "\u0435\u03b5\u1d07",
    "f": "\ua730",
    "g": "\u0261\u0262",
    "h": "\u04bb\u029c",
    "i": "\u0456\u03b9\u0131\u026a",
    "k": "\u043a\u03ba\u1d0b",
    "l": "\u04cf\u029f",
    "m": "\u043c\u03bc\u1d0d",
    "n": "\u043f\u0578\u03bd\u0274",
    "o": "\u043e\u03bf\u1d0f0",
    "p": "\u0440\u03c1\u1d18",
    "r": "\u0280",
    "s": "\u0455\ua731",
    "t": "\u0442\u03c4\u1d1b",
    "u": "\u03c5\u057d\u1d1c",
    "v": "\u0475\u1d20",
    "w": "\u0461\u051d\u1d21",
    "x": "\u0445\u03c7",
    "y": "\u0443\u028f",
}
_LETTERS = {ord(twin): letter for letter, twins in _TWINS.items() for twin in twins}
"""Cyrillic, Armenian, Greek and small capital letters, and a digit, that look like a header's"""


def quote(text: str) -> str:
    """The text with every look-alike of a header marked; any other text is returned as it is."""
    return _edited(text, _LINE, lambda line: MARK + line, _broken)


def unquote(text: str) -> str:
    """The text of which ``quote`` made this one."""
    return _edited(text, _QUOTED, lambda line: line.removeprefix(MARK), _mended)


def is_broken(text: str) -> bool:
    """Whether a header is broken where this text is shown, which versions without this module did not do."""
    return any(True for rest in _LINE.split(text) for _ in _places(rest))


def _edited(text: str, lines: re.Pattern[str], line: Callable[[str], str], rest: Callable[[str], str]) -> str:
    """The text with its lines of a kind edited in one way, and what is between them in another."""
    if not OPENING.search(text):
        return text
    edited, end = "", 0
    for found in lines.finditer(text):
        edited += rest(text[end : found.start()]) + line(found[0])
        end = found.end()
    return edited + rest(text[end:])


def _broken(text: str) -> str:
    broken, start = "", 0
    for blanks, place in _places(text):
        broken += f"{text[start:blanks]}{_LINE_BREAK}{text[blanks:place]}{MARK}"
        start = place
    return broken + text[start:]


def _mended(text: str) -> str:
    mended, start = "", 0
    for blanks, place in _places(text):
        mended += text[start:blanks].removesuffix(_LINE_BREAK) + text[blanks:place]
        start = place + (len(MARK) if text.startswith(MARK, place) else 0)
    return mended + text[start:]


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Of every look-alike, where the blanks before it begin, and the place after its first bracket."""
    last = 0
    for bracket in OPENING.finditer(text):
        letters = ""
        for place in range(bracket.end(), len(text)):
            if text[place] in CLOSING:
                if letters in NAMES:
                    yield len(text[last : bracket.start()].rstrip(" \t")) + last, bracket.end()
                    last = bracket.end()
                break
            letters += plain_letters(text[place])
            # The next bracket ends this at the latest, so that long texts take no longer than they are long.
            if letters not in _BEGINNINGS:
                break


@lru_cache(4096)
def plain_letters(char: str) -> str:
    """The plain letters that a character looks like; none if it does not show between letters."""
    if char in _BETWEEN or unicodedata.category(char) in _UNSEEN:
        return ""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each)).translate(_LETTERS)
