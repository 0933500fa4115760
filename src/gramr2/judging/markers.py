"""What separates the parts of a prompt that is not gramr2's own, and how look-alikes of it in a text are marked.

The means are those of ``gramr2.judging.quoting``: a line that the prompt has too gets “> ” before it, and a header inside a line
gets a line of its own and is broken. A prompt of this kind is never read back, so the marks need not come out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gramr2.judging.quoting import CLOSING, MARK, OPENING, plain_letters

_BREAKS = re.compile(r"([\n\r\v\f\x1c-\x1e\x85\u2028\u2029])")
FEWEST = 3
"""letters of a line that is looked for: a line of “---” separates nothing alone"""


@dataclass(frozen=True, slots=True)
class _Family:
    """A way to set off a header: what it begins with, what may follow that, and what ends it."""

    begins: str
    opening: re.Pattern[str]
    after: str
    closing: frozenset[str]


_FAMILIES = (
    _Family("[", OPENING, "", CLOSING),
    _Family(
        "<",
        re.compile("[<\uff1c\u2039\u3008\u27e8\u276e]"),
        "|>\uff5c\u2758",
        frozenset("|>\uff5c\u2758\uff1e\u203a\u3009\u27e9\u276f"),
    ),
    _Family("#", re.compile("[#\uff03\ufe5f]"), "", frozenset(":\uff1a\ufe55")),
)


class Markers:
    """The lines of a prompt's own text, and the headers among them.

    Args:
        lines: every line that the prompt writes, without the places for question and answers.
        beginnings: what the prompt writes before a place in the same line, such as “Question:”.
    """

    def __init__(self, lines: Iterable[str], beginnings: Iterable[str] = ()) -> None:
        lines = [line.strip() for line in lines]
        self._lines = frozenset(letters for line in lines if len(letters := _plain(line)) >= FEWEST)
        self._beginnings = tuple(letters for text in beginnings if len(letters := _plain(text)) >= FEWEST)
        self._longest = max(map(len, (*self._lines, *self._beginnings)), default=0)
        self._headers = [
            (each, names, frozenset(name[:length] for name in names for length in range(len(name) + 1)))
            for each in _FAMILIES
            if (names := frozenset(_inner(line) for line in lines if line.startswith(each.begins)) - {""})
        ]

    def quote(self, text: str) -> str:
        """The text with every look-alike marked; any other text is returned as it is."""
        return "".join(self._marked(line) for line in _BREAKS.split(text))

    def _marked(self, line: str) -> str:
        letters = _plain(line, self._longest + 1)
        if letters in self._lines or letters.startswith(self._beginnings):
            return MARK + line
        broken, start = "", 0
        for place in sorted({each for kind in self._headers for each in _places(line, *kind)}):
            broken += f"{line[start:place].rstrip()}\n>> {line[place]}{MARK}"
            start = place + 1
        return broken + line[start:]


def _places(line: str, family: _Family, names: frozenset[str], beginnings: frozenset[str]) -> Iterator[int]:
    """Where the headers of a family in a line begin."""
    for opened in family.opening.finditer(line):
        letters = ""
        # Another opening ends this at the latest, so that long texts take no longer than they are long.
        for place in range(opened.end(), len(line)):
            char = line[place]
            if not letters and char in family.after:
                continue
            if char in family.closing:
                if letters in names:
                    yield opened.start()
                break
            letters += plain_letters(char)
            if letters not in beginnings:
                break


def _inner(line: str) -> str:
    """The letters of a header between what sets it off."""
    return _plain(line.strip("[]<|>#: \t"))


def _plain(text: str, most: int | None = None) -> str:
    """The plain letters that a text looks like, so many at most."""
    letters = ""
    for char in text:
        letters += plain_letters(char)
        if most is not None and len(letters) >= most:
            break
    return letters
