"""Writing the digits of a number backwards: a task that neither the tiny model nor the lab's judge has met, to adapt to."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.lab.problems import Problem, misread

_PROMPT = re.compile(r"Write (\d+) backwards\.")


@dataclass(frozen=True, slots=True)
class Mirror:
    """«Write 5281 backwards.» — «5281: take 1 leaves 528, take 8 leaves 52, take 2 leaves 5, so 1825.»"""

    name: str = "mirror"
    difficulties: Sequence[int] = (3, 4, 5)

    def draw(self, rng: random.Random, difficulty: int) -> Problem:
        """See ``Family``."""
        return Problem(self.name, ("".join(rng.choices("0123456789", k=difficulty)),), difficulty)

    def ask(self, problem: Problem) -> str:
        """See ``Family``."""
        return f"Write {problem.given[0]} backwards."

    def read(self, prompt: str) -> Problem | None:
        """See ``Family``."""
        found = _PROMPT.fullmatch(prompt)
        return Problem(self.name, (found[1],), len(found[1])) if found else None

    def solve(self, problem: Problem) -> str:
        """See ``Family``."""
        return problem.given[0][::-1]

    def steps(self, problem: Problem) -> tuple[str, ...]:
        """See ``Family``. The last digit needs no step: it is what the step before leaves."""
        given = problem.given[0]
        taken = (f"take {given[place]} leaves {given[:place]}" for place in range(len(given) - 1, 0, -1))
        return (given, *taken, self.solve(problem))

    def slip(self, rng: random.Random, problem: Problem) -> str:
        """See ``Family``."""
        answer = self.solve(problem)
        while True:
            wrong = misread(rng, answer)
            if wrong != answer:
                return wrong
