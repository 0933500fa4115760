"""Texts of which a template wrote parts. The rest of such a text, and all of any other text, is data."""

from __future__ import annotations

from collections.abc import Iterator


class Written(str):
    """A text that knows which of its parts a template wrote.

    In all else it is that text: it is equal to the plain one, is stored and hashed as it, and what is made of it by the
    methods of ``str`` is plain, so that a lost mark turns a template's part into data and never data into a template's part.
    """

    __slots__ = ("parts",)

    parts: tuple[tuple[str, bool], ...]
    """the text in pieces, none empty, and whether the template wrote each"""

    def __new__(cls, *parts: tuple[str, bool]) -> Written:
        """The text of these parts, each with whether a template wrote it."""
        text = super().__new__(cls, "".join(part for part, _ in parts))
        text.parts = tuple(_merged(parts))
        return text

    def __getnewargs__(self) -> tuple[tuple[str, bool], ...]:  # type: ignore[override]
        """For copies and other processes."""
        return self.parts


def own(text: str) -> Written:
    """A text that a template wrote."""
    return Written((str(text), True))


def joined(*texts: str) -> Written:
    """Texts in a row, each with its own marks."""
    return Written(*(part for text in texts for part in parts_of(text)))


def parts_of(text: str) -> tuple[tuple[str, bool], ...]:
    """The parts of a text, and whether a template wrote each; a plain text is one part, which is data."""
    return text.parts if isinstance(text, Written) else ((text, False),)


def _merged(parts: tuple[tuple[str, bool], ...]) -> Iterator[tuple[str, bool]]:
    """Without empty parts, and neighbours of one kind as one."""
    held, kind = "", False
    for text, ours in parts:
        if text and ours is not kind:
            if held:
                yield held, kind
            held, kind = "", ours
        held += text
    if held:
        yield held, kind
