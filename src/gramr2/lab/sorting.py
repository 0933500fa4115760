"""Sorting the digits of a number, worked by taking the smallest that is left."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.lab.problems import Problem, misread

_PROMPT = re.compile(r"Sort the digits of (\d+)\.")


@dataclass(frozen=True, slots=True)
class Sorting:
    """«Sort the digits of 5281.» — «5281: take 1 leaves 528, take 2 leaves 58, take 5 leaves 8, so 1258.»"""

    name: str = "sort"
    difficulties: Sequence[int] = (3, 4, 5)

    def draw(self, rng: random.Random, difficulty: int) -> Problem:
        """See ``Family``."""
        return Problem(self.name, ("".join(rng.choices("0123456789", k=difficulty)),), difficulty)

    def ask(self, problem: Problem) -> str:
        """See ``Family``."""
        return f"Sort the digits of {problem.given[0]}."

    def read(self, prompt: str) -> Problem | None:
        """See ``Family``."""
        found = _PROMPT.fullmatch(prompt)
        return Problem(self.name, (found[1],), len(found[1])) if found else None

    def solve(self, problem: Problem) -> str:
        """See ``Family``."""
        return "".join(sorted(problem.given[0]))

    def steps(self, problem: Problem) -> tuple[str, ...]:
        """See ``Family``. The last digit needs no step: it is what the step before leaves."""
        left, steps = problem.given[0], []
        for digit in self.solve(problem)[:-1]:
            left = left.replace(digit, "", 1)
            steps.append(f"take {digit} leaves {left}")
        return (problem.given[0], *steps, self.solve(problem))

    def slip(self, rng: random.Random, problem: Problem) -> str:
        """See ``Family``."""
        answer = self.solve(problem)
        while True:
            wrong = misread(rng, answer)
            if wrong != answer:
                return wrong
