"""True rationales for comparisons in the lab, and a step-by-step check of the rationales that a judge wrote.

A rationale solves the problem, checks one response, checks the other, lists the right ones, and concludes. Each of these parts
is either exactly right or a mistake that a program finds; that is what the lab is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.comparison import Comparison, Label
from gramr2.judging.template import CONCLUSIONS, OPENING
from gramr2.research.lab.digits import MIRROR, SORTING
from gramr2.research.lab.problems import Family, Problem, steps_in, worked
from gramr2.research.lab.sums import Sums

FAMILIES: tuple[Family, ...] = (Sums(), SORTING)
"""families that the tiny model and the lab's judge are trained on"""
NEW_FAMILIES: tuple[Family, ...] = (MIRROR,)
"""families that neither has seen: tasks to adapt a judge to"""
PHRASINGS = ("{}.", "It is {}.", "The answer is {}.")
"""the ways in which a response states its answer"""
_ANSWER = re.compile(r"(?:It is |The answer is )?(\d+)\.")
_CHECK = re.compile(r"Response ([AB]) says \d+: .*\. Response \1 is (?:right|wrong)\.")
_CONCLUSION = {sentence: label for label, sentence in CONCLUSIONS.items()}
RIGHT, NONE = "Right: ", "none"
SIDES = ("A", "B")


@dataclass(frozen=True, slots=True)
class Verification:
    """Which parts of a rationale are right.

    ``steps`` and ``right_steps`` count the derivation's parts (the restated problem, each step, the result); a part is right
    if it equals the canonical solution's part in the same place. ``checks`` says whether both responses are quoted, compared
    with the result and graded correctly, and the right ones listed; ``concluded`` is the label it concludes, ``follows``
    whether that label follows from its own two grades, and ``well_formed`` whether it has all of its parts.
    """

    well_formed: bool
    steps: int = 0
    right_steps: int = 0
    checks: bool = False
    concluded: Label | None = None
    follows: bool = False

    @property
    def derivation(self) -> bool:
        """Whether every step of the derivation is right."""
        return self.well_formed and self.steps > 0 and self.steps == self.right_steps

    @property
    def correct(self) -> bool:
        """Whether the whole rationale is right."""
        return self.derivation and self.checks and self.follows


def family_of(name: str) -> Family:
    """A family by its name."""
    return next(family for family in (*FAMILIES, *NEW_FAMILIES) if family.name == name)


def problem_of(comparison: Comparison) -> Problem | None:
    """The problem of a comparison; None if it is not one of the lab's."""
    families = (*FAMILIES, *NEW_FAMILIES)
    return next((p for family in families if (p := family.read(comparison.prompt_text)) is not None), None)


def answer_in(response: str) -> str | None:
    """The answer that a response of the lab states."""
    found = _ANSWER.fullmatch(response)
    return found[1] if found else None


def verdict(graded: tuple[bool, bool]) -> Label:
    """The label that follows from two grades."""
    return Label.TIE if graded[0] == graded[1] else Label.A if graded[0] else Label.B


def true_label(comparison: Comparison) -> Label:
    """The label of a comparison, computed.

    Raises:
        ValueError: it is not one of the lab's.
    """
    return verdict(grades(comparison))


def grades(comparison: Comparison) -> tuple[bool, bool]:
    """Whether each response is right.

    Raises:
        ValueError: the comparison is not one of the lab's.
    """
    problem = problem_of(comparison)
    answers = tuple(answer_in(response) for response in comparison.responses)
    if problem is None or None in answers:
        raise ValueError(f"{comparison.id!r} is not a comparison of the lab")
    truth = family_of(problem.family).solve(problem)
    return answers[0] == truth, answers[1] == truth


def check(side: str, answer: str, truth: str) -> str:
    """The check of one response: “Response B says 943: 9=9 4/3 3=3. Response B is wrong.”

    The answer is compared with the result digit by digit, because a small model mostly fails to compare two whole numbers at
    once.
    """
    width = max(len(answer), len(truth))
    pairs = zip(answer.ljust(width, "-"), truth.ljust(width, "-"), strict=True)
    marks = " ".join(f"{a}{'=' if a == b else '/'}{b}" for a, b in pairs)
    return f"Response {side} says {answer}: {marks}. Response {side} is {'right' if answer == truth else 'wrong'}."


def listed(checks: Sequence[str]) -> str:
    """Which responses these checks grade as right: “Right: Response A.” or “Right: none.”"""
    right = [each.partition(" says ")[0] for each in checks if each.endswith(" right.")]
    return f"{RIGHT}{', '.join(right) or NONE}."


def write_rationale(comparison: Comparison) -> str:
    """The true rationale of a comparison of the lab.

    Raises:
        ValueError: it is not one of the lab's.
    """
    problem = problem_of(comparison)
    if problem is None:
        raise ValueError(f"{comparison.id!r} is not a comparison of the lab")
    return solved(family_of(problem.family), problem, comparison.responses)[1]


def solved(family: Family, problem: Problem, responses: tuple[str, str]) -> tuple[Label, str]:
    """The true label of two responses to a problem, and the true rationale.

    Raises:
        ValueError: a response is not one of the lab's.
    """
    truth, answers = family.solve(problem), [answer_in(response) for response in responses]
    checks = [check(side, answer, truth) for side, answer in zip(SIDES, answers, strict=True) if answer is not None]
    if len(checks) < len(SIDES):
        raise ValueError(f"{responses!r} are not responses of the lab")
    label = verdict((answers[0] == truth, answers[1] == truth))
    head = f"{OPENING} {worked(family, problem)}"
    return label, "\n".join([head, *checks, listed(checks), CONCLUSIONS[label]])


def verify(comparison: Comparison, rationale: str) -> Verification:
    """Check a rationale against the comparison as it was shown; the two checks may be in either order.

    Raises:
        ValueError: the comparison is not one of the lab's.
    """
    problem = problem_of(comparison)
    if problem is None:
        raise ValueError(f"{comparison.id!r} is not a comparison of the lab")
    lines = rationale.strip().removeprefix(OPENING).strip().split("\n")
    if len(lines) != 5:
        return Verification(False)
    written = steps_in(lines[0])
    found = [_CHECK.fullmatch(line) for line in lines[1:3]]
    concluded = _CONCLUSION.get(lines[4])
    checks = {match[1]: match[0] for match in found if match}
    if written is None or concluded is None or set(checks) != set(SIDES) or not lines[3].startswith(RIGHT):
        return Verification(False)
    family = family_of(problem.family)
    canonical, truth = family.steps(problem), family.solve(problem)
    answers = {side: answer_in(response) or "" for side, response in zip(SIDES, comparison.responses, strict=True)}
    graded = (checks["A"].endswith(" right."), checks["B"].endswith(" right."))
    quoted = all(checks[side] == check(side, answers[side], truth) for side in SIDES)
    return Verification(
        well_formed=True,
        steps=max(len(canonical), len(written)),
        right_steps=sum(a == b for a, b in zip(canonical, written, strict=False)),
        checks=quoted and lines[3] == listed(lines[1:3]),
        concluded=concluded,
        follows=concluded is verdict(graded),
    )
