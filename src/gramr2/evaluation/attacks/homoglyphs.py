"""Letters of another script that look the same: is the text still read as it was?"""

from __future__ import annotations

import random

from gramr2.evaluation.attacks.base import Edit, Spot

TWINS = dict(zip("aceopxyi", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456", strict=True))
"""Latin letters and the Cyrillic ones that look like them"""


class Homoglyphs(Edit):
    """Every second letter that has a Cyrillic twin, drawn at random, replaced by it."""

    def edit(self, text: str, spot: Spot) -> str | None:
        return _replaced(text, spot.seed, TWINS)

    def plain(self, text: str, spot: Spot) -> str | None:
        return _replaced(text, spot.seed, {letter: letter.upper() for letter in TWINS})


def _replaced(text: str, seed: int, twins: dict[str, str]) -> str | None:
    places = [place for place, letter in enumerate(text) if letter in twins]
    if not places:
        return None
    letters = list(text)
    for place in random.Random(seed).sample(places, (len(places) + 1) // 2):
        letters[place] = twins[letters[place]]
    return "".join(letters)


HOMOGLYPHS = Homoglyphs(
    "homoglyphs",
    "half of the letters a, c, e, i, o, p, x, y replaced by Cyrillic twins",
    "the same letters as capitals",
    70,
)
