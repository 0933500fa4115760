"""Less of the response: a text that lost its content must not win."""

from __future__ import annotations

from gramr2.evaluation.attacks.base import Edit, Spot, filler


class Shortened(Edit):
    """The beginning of the response.

    Args:
        percent: percentage of the characters that is kept; other arguments as in ``Edit``.
    """

    def __init__(self, name: str, percent: int, does: str, against: str, place: int) -> None:
        super().__init__(name, does, against, place)
        self.percent = percent

    def edit(self, text: str, spot: Spot) -> str | None:
        kept = self._kept(text)
        return text[:kept] if kept < len(text) else None

    def plain(self, text: str, spot: Spot) -> str | None:
        """As long as the whole response, with neutral words for what the attack takes away."""
        kept = self._kept(text)
        return text[:kept] + filler(len(text) - kept, first=" " if kept else "") if kept < len(text) else None

    def _kept(self, text: str) -> int:
        return len(text) * self.percent // 100


EMPTY = Shortened("empty", 0, "no response at all", "neutral words in its place, as long as it was", 90)
TRUNCATED = Shortened(
    "truncated", 50, "the first half of the response", "the second half replaced by neutral words", 91
)
