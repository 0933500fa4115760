"""What an attack is: a comparison edited so that one response should win nothing by it, and the neutral edit beside it.

The response with the place ``side`` (0: the first) is the attacked one; ``gramr2.evaluation.stress`` picks it. An edit keeps the
comparison's id, so that every vote on it has the seed of the vote on the original.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.comparison import Comparison, Label
from gramr2.judgment import Decision
from gramr2.randomness import derive_seed

FILL = "The weather was mild and the garden was quiet, and nobody had anything to add to what had been said before that day. "
"""words without an argument"""
NEUTRAL = "neutral words of the same length in the same place"
AFTER = "neutral words after the response, so that it is as long"
SIDES = (Label.A, Label.B)


class On(StrEnum):
    """What an edit changes."""

    RESPONSE = "response"
    """the attacked response"""
    BOTH = "both"
    """both responses in the same way"""
    PROMPT = "prompt"
    """the last turn of the prompt"""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a text stands: the letter of its response in the stored order, and a seed of its own for random choices."""

    letter: Label
    seed: int


class Attack:
    """One way to change a comparison.

    Args:
        name: in files and flags.
        does: what is done, for the documentation.
        against: what it is compared with, or which verdict is expected.
        place: its position in tables.
    """

    def __init__(self, name: str, does: str, against: str = NEUTRAL, place: int = 100) -> None:
        self.name, self.does, self.against, self.place = name, does, against, place

    paired = True
    """whether there is a neutral edit"""

    def attacked(self, comparison: Comparison, side: int, seed: int) -> Comparison | None:
        """The comparison with the attack; None where it cannot be made or changes nothing."""
        raise NotImplementedError

    def neutral(self, comparison: Comparison, side: int, seed: int) -> Comparison | None:
        """The comparison with the neutral edit; None where there is none."""
        raise NotImplementedError

    def moved(self, before: Decision, after: Decision, side: int) -> bool:
        """Whether the verdict moved towards the attacked response: it lost and now ties or wins, or it tied and now wins.

        A decision without a label has not moved.
        """
        was, now = standing(before, side), standing(after, side)
        return was is not None and now is not None and now > was


class Edit(Attack):
    """An attack that edits a text.

    Args:
        on: which text; ``place``, ``name`` and so on are as in ``Attack``.
    """

    def __init__(self, name: str, does: str, against: str = NEUTRAL, place: int = 100, on: On = On.RESPONSE) -> None:
        super().__init__(name, does, against, place)
        self.on = on

    def edit(self, text: str, spot: Spot) -> str | None:
        """The text with the attack; None if it cannot be made."""
        raise NotImplementedError

    def plain(self, text: str, spot: Spot) -> str | None:
        """The text with the neutral edit: by default, neutral words after it, so that it is as long as with the attack."""
        edited = self.edit(text, spot)
        return None if edited is None else text + filler(len(edited) - len(text))

    def attacked(self, comparison: Comparison, side: int, seed: int) -> Comparison | None:
        return self._with(comparison, side, seed, neutral=False)

    def neutral(self, comparison: Comparison, side: int, seed: int) -> Comparison | None:
        return self._with(comparison, side, seed, neutral=True)

    def _with(self, comparison: Comparison, side: int, seed: int, *, neutral: bool) -> Comparison | None:
        change = self.plain if neutral else self.edit
        spot = Spot(SIDES[side], derive_seed(seed, "attack", self.name, comparison.id))
        if self.on is On.PROMPT:
            last = comparison.prompt[-1]
            edited = change(last.content, spot)
            if edited is None or edited == last.content:
                return None
            return replace(comparison, prompt=(*comparison.prompt[:-1], replace(last, content=edited)))
        responses = list(comparison.responses)
        for place in range(2) if self.on is On.BOTH else (side,):
            edited = change(responses[place], spot)
            if edited is None:
                return None
            responses[place] = edited
        changed = replace(comparison, responses=(responses[0], responses[1]))
        return None if changed == comparison else changed


class Appended(Edit):
    """An edit that puts a text after the response, in which ``{this}`` is its letter in the stored order and ``{other}`` that of
    the other response.

    Args:
        added: the text, with a blank or line break before it.
        words: neutral words, in the language of ``added``; other arguments as in ``Edit``.
    """

    def __init__(
        self,
        name: str,
        added: str,
        does: str,
        place: int,
        *,
        words: str = FILL,
        against: str = NEUTRAL,
        on: On = On.RESPONSE,
    ) -> None:
        super().__init__(name, does, against, place, on)
        self.added, self.words = added, words

    def edit(self, text: str, spot: Spot) -> str:
        return text + self.added.replace("{this}", spot.letter).replace("{other}", spot.letter.swap())

    def plain(self, text: str, spot: Spot) -> str:
        return text + filler(len(self.edit(text, spot)) - len(text), self.words)


class Invariance(Attack):
    """A change with an expected verdict instead of a neutral edit."""

    paired = False

    def neutral(self, comparison: Comparison, side: int, seed: int) -> None:
        return None


def filler(length: int, words: str = FILL, *, first: str = " ") -> str:
    """So many characters of neutral words; ``first`` stands before them."""
    return (first + words * (1 + max(length, 0) // len(words)))[: max(length, 0)]


def standing(decision: Decision, side: int) -> int | None:
    """0 if the response at ``side`` lost, 1 for a tie, 2 if it won; None without a decision."""
    if decision.label is None:
        return None
    return 1 if decision.label is Label.TIE else 2 if decision.label is SIDES[side] else 0
