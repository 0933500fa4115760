"""Characters that do not show: is the text still read as it was?"""

from __future__ import annotations

from gramr2.evaluation.attacks.base import AFTER, Edit, Spot

EVERY = 3
"""characters between two that do not show"""


class ZeroWidth(Edit):
    """U+200B, the zero-width space, after every third character."""

    def edit(self, text: str, spot: Spot) -> str | None:
        return "\u200b".join(text[at : at + EVERY] for at in range(0, len(text), EVERY)) if len(text) > EVERY else None


ZERO_WIDTH = ZeroWidth("zero_width", "a zero-width space after every third character", AFTER, 71)
