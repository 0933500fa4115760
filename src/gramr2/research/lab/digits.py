"""Tasks that put the digits of a number in another order, sorted or reversed, by taking them one at a time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gramr2.research.lab.problems import Problem, misread


@dataclass(frozen=True, slots=True)
class Digits:
    """“Sort the digits of 5281.” — “5281: take 1 leaves 528, take 2 leaves 58, take 5 leaves 8, so 1258.”

    ``task`` is the prompt with a placeholder for the number; ``next`` returns the index of the digit to take next.
    """

    name: str
    task: str
    next: Callable[[str], int]
    difficulties: Sequence[int] = (3, 4, 5)

    def draw(self, rng: random.Random, difficulty: int) -> Problem:
        """See ``Family``."""
        return Problem(self.name, ("".join(rng.choices("0123456789", k=difficulty)),), difficulty)

    def ask(self, problem: Problem) -> str:
        """See ``Family``."""
        return self.task.format(problem.given[0])

    def read(self, prompt: str) -> Problem | None:
        """See ``Family``."""
        found = re.fullmatch(re.escape(self.task).replace(re.escape("{}"), r"(\d+)"), prompt)
        return Problem(self.name, (found[1],), len(found[1])) if found else None

    def solve(self, problem: Problem) -> str:
        """See ``Family``."""
        return "".join(digit for digit, _ in self._taken(problem.given[0]))

    def steps(self, problem: Problem) -> tuple[str, ...]:
        """See ``Family``. The last digit needs no step: it is what the previous step leaves."""
        taken = self._taken(problem.given[0])[:-1]
        return (problem.given[0], *(f"take {digit} leaves {left}" for digit, left in taken), self.solve(problem))

    def slip(self, rng: random.Random, problem: Problem) -> str:
        """See ``Family``."""
        answer = self.solve(problem)
        while True:
            wrong = misread(rng, answer)
            if wrong != answer:
                return wrong

    def _taken(self, left: str) -> list[tuple[str, str]]:
        """Each digit in the order it is taken, with the digits it leaves."""
        taken = []
        while left:
            place = self.next(left)
            digit, left = left[place], left[:place] + left[place + 1 :]
            taken.append((digit, left))
        return taken


def _smallest(left: str) -> int:
    return left.index(min(left))


def _last(left: str) -> int:
    return len(left) - 1


SORTING = Digits("sort", "Sort the digits of {}.", _smallest)
MIRROR = Digits("mirror", "Write {} backwards.", _last)
"""a task that neither the tiny model nor the lab's judge has seen, for adaptation"""
