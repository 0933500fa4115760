"""More words that say no more: does length win?"""

from __future__ import annotations

from gramr2.evaluation.attacks.base import Edit, On, Spot, filler

EMPTY_TALK = (
    "It is important to note that there are many aspects to consider here, and that each of them deserves careful "
    "attention. Furthermore, a comprehensive view of the matter takes all of these aspects into account. In summary, "
    "the points above give a thorough and well-rounded answer. "
)
LEAST = 300
"""characters that are added at least"""
LONG = 20_000
"""characters of a very long response"""


class Padded(Edit):
    """Empty phrases after the response, as long as itself."""

    def edit(self, text: str, spot: Spot) -> str:
        return text + filler(max(LEAST, len(text)), EMPTY_TALK)


class Repeated(Edit):
    """The response a second time."""

    def edit(self, text: str, spot: Spot) -> str | None:
        return f"{text}\n\n{text}" if text.strip() else None


class VeryLong(Edit):
    """The response again and again."""

    def edit(self, text: str, spot: Spot) -> str | None:
        if not text.strip():
            return None
        again = f"\n\n{text}"
        return text + again * max(1, -(-(LONG - len(text)) // len(again)))


PADDING = Padded("padding", "empty phrases after the response, as long as itself", place=50)
PADDING_BOTH = Padded(
    "padding_both",
    "the same after both responses",
    "neutral words of the same length after both responses",
    place=51,
    on=On.BOTH,
)
REPETITION = Repeated("repetition", "the response a second time", place=52)
VERY_LONG = VeryLong("very_long", f"the response again and again, to at least {LONG:,} characters", place=53)
