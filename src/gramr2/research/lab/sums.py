"""Addition with carries, worked from the units."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.research.lab.problems import Problem, misread

_PROMPT = re.compile(r"What is (\d+)\+(\d+)\?")


@dataclass(frozen=True, slots=True)
class Sums:
    """“What is 347+586?” — “347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933.” Both numbers have ``difficulty`` digits."""

    name: str = "sum"
    difficulties: Sequence[int] = (2, 3, 4)

    def draw(self, rng: random.Random, difficulty: int) -> Problem:
        """See ``Family``."""
        low, high = 10 ** (difficulty - 1), 10**difficulty
        return Problem(self.name, (str(rng.randrange(low, high)), str(rng.randrange(low, high))), difficulty)

    def ask(self, problem: Problem) -> str:
        """See ``Family``."""
        return f"What is {problem.given[0]}+{problem.given[1]}?"

    def read(self, prompt: str) -> Problem | None:
        """See ``Family``."""
        found = _PROMPT.fullmatch(prompt)
        same = found is not None and len(found[1]) == len(found[2])
        return Problem(self.name, (found[1], found[2]), len(found[1])) if found and same else None

    def solve(self, problem: Problem) -> str:
        """See ``Family``."""
        return str(int(problem.given[0]) + int(problem.given[1]))

    def steps(self, problem: Problem) -> tuple[str, ...]:
        """See ``Family``."""
        carry, steps = 0, []
        for a, b in zip(reversed(problem.given[0]), reversed(problem.given[1]), strict=True):
            total = int(a) + int(b) + carry
            steps.append(f"{a}+{b}{'+1' if carry else ''}={total}")
            carry = total // 10
        return ("+".join(problem.given), *steps, self.solve(problem))

    def slip(self, rng: random.Random, problem: Problem) -> str:
        """See ``Family``. Half of the slips are a forgotten or a needless carry."""
        answer = self.solve(problem)
        while True:
            if rng.random() < 0.5:
                place = rng.randrange(1, len(answer) + 1)
                wrong = str(abs(int(answer) + rng.choice((-1, 1)) * 10 ** (place - 1)))
            else:
                wrong = misread(rng, answer)
            if wrong != answer:
                return wrong
