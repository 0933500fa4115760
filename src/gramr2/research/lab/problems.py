"""Problems whose answer and worked solution a program can compute, and the interface of a family of such problems."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Problem:
    """``given`` are the family's operands as written in the prompt; ``difficulty`` is their number of digits."""

    family: str
    given: tuple[str, ...]
    difficulty: int


class Family(Protocol):
    """A kind of problem. Its worked solutions have one canonical form, so every step of one can be checked."""

    @property
    def name(self) -> str:
        """Category of its comparisons."""
        ...

    @property
    def difficulties(self) -> Sequence[int]:
        """The levels it can be drawn at, easy first."""
        ...

    def draw(self, rng: random.Random, difficulty: int) -> Problem:
        """A problem of this difficulty."""
        ...

    def ask(self, problem: Problem) -> str:
        """The prompt."""
        ...

    def read(self, prompt: str) -> Problem | None:
        """The problem that a prompt states; None where it is not of this family. The inverse of ``ask``."""
        ...

    def solve(self, problem: Problem) -> str:
        """The answer."""
        ...

    def steps(self, problem: Problem) -> tuple[str, ...]:
        """The worked solution: the restated problem, each step, and the result, in this order."""
        ...

    def slip(self, rng: random.Random, problem: Problem) -> str:
        """A wrong answer of the kind that carelessness gives; never the right one."""
        ...


SEPARATOR = ", "
RESULT = "so "


def worked(family: Family, problem: Problem) -> str:
    """The worked solution as one line: “347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933.”"""
    head, *steps, result = family.steps(problem)
    return f"{head}: {SEPARATOR.join([*steps, f'{RESULT}{result}'])}."


def steps_in(line: str) -> tuple[str, ...] | None:
    """The steps of a line in the form of ``worked``, right or wrong; None if it has another form."""
    head, colon, rest = line.partition(": ")
    if not colon or not rest.endswith("."):
        return None
    *steps, last = rest[:-1].split(SEPARATOR)
    return (head, *steps, last.removeprefix(RESULT)) if last.startswith(RESULT) else None


def misread(rng: random.Random, answer: str) -> str:
    """An answer with one digit changed, dropped or doubled, or two neighbours swapped; it may come out unchanged."""
    place = rng.randrange(len(answer))
    kind = rng.choice(("change", "drop", "double", "exchange"))
    if kind == "change":
        digit = str((int(answer[place]) + rng.choice((-1, 1))) % 10)
        return answer[:place] + digit + answer[place + 1 :]
    if kind == "drop" and len(answer) > 1:
        return answer[:place] + answer[place + 1 :]
    if kind == "double":
        return answer[:place] + answer[place] * 2 + answer[place + 1 :]
    other = answer[place : place + 2][::-1]
    return answer[:place] + other + answer[place + 2 :]
