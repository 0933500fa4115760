"""What a text quotes, and whether its sources contain it."""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_QUOTE = 3
"""characters; shorter quotations are not evidence of anything"""
_QUOTED = re.compile(r"“([^”\n]+)”|«([^»\n]+)»|\"([^\"\n]+)\"|`([^`\n]+)`")
_WORD = re.compile(r"\w+")


def quotations(text: str) -> list[str]:
    """The quotations in a text, normalised: case, white space and punctuation at the ends are ignored."""
    found = [_folded("".join(groups)) for groups in _QUOTED.findall(text)]
    return [quote for quote in found if len(quote) >= MIN_QUOTE]


def occurring(quotes: Sequence[str], sources: Sequence[str]) -> list[bool]:
    """Whether each quotation occurs in one of the sources."""
    haystacks = [_folded(source) for source in sources]
    return [any(quote in text for text in haystacks) for quote in quotes]


def copies(text: str, sources: Sequence[str], size: int = 4) -> bool:
    """Whether a run of ``size`` words of the text, ignoring case and punctuation, occurs in one of the sources."""
    runs = _runs(text, size)
    return any(not runs.isdisjoint(_runs(source, size)) for source in sources)


def _runs(text: str, size: int) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?…'")
