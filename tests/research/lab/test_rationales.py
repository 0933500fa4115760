"""The lab's truth: canonical rationales verify, and every kind of mistake is found where it is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Comparison, Label, Message
from gramr2.research.lab.problems import Problem, steps_in, worked
from gramr2.research.lab.rationales import (
    FAMILIES,
    NEW_FAMILIES,
    check,
    family_of,
    listed,
    problem_of,
    true_label,
    verify,
    write_rationale,
)


def lab(prompt: str, first: str, second: str) -> Comparison:
    return Comparison("x", (Message("user", prompt),), (first, second))


SUM = lab("What is 347+586?", "It is 933.", "943.")
MIRROR = lab("Write 5281 backwards.", "1852.", "It is 1825.")
SORT = lab("Sort the digits of 5281.", "The answer is 128.", "1258.")


def test_worked_solutions_are_what_a_person_would_write() -> None:
    assert worked(family_of("sum"), Problem("sum", ("347", "586"), 3)) == (
        "347+586: 7+6=13, 4+8+1=13, 3+5+1=9, so 933."
    )
    assert worked(family_of("sum"), Problem("sum", ("75", "68"), 2)) == "75+68: 5+8=13, 7+6+1=14, so 143."
    assert worked(family_of("sort"), Problem("sort", ("5281",), 4)) == (
        "5281: take 1 leaves 528, take 2 leaves 58, take 5 leaves 8, so 1258."
    )
    assert worked(family_of("mirror"), Problem("mirror", ("5281",), 4)) == (
        "5281: take 1 leaves 528, take 8 leaves 52, take 2 leaves 5, so 1825."
    )


@pytest.mark.parametrize(
    ("comparison", "label"), [(SUM, Label.A), (SUM.swap(), Label.B), (SORT, Label.B), (MIRROR, Label.B)]
)
def test_a_true_rationale_verifies(comparison: Comparison, label: Label) -> None:
    text = write_rationale(comparison)
    found = verify(comparison, text)
    assert found.correct
    assert (true_label(comparison), found.concluded) == (label, label)
    assert found.right_steps == found.steps == len(text.split("\n")[0].split(", ")) + 1


@given(st.integers(0, 10_000), st.sampled_from((*FAMILIES, *NEW_FAMILIES)))
def test_problems_slips_and_steps_hold_together(seed: int, family) -> None:
    rng = random.Random(seed)
    problem = family.draw(rng, rng.choice(list(family.difficulties)))
    truth, wrong = family.solve(problem), family.slip(rng, problem)
    assert wrong != truth
    assert wrong.isdigit()
    assert family.read(family.ask(problem)) == problem
    assert steps_in(worked(family, problem)) == family.steps(problem)
    for answers, label in (((truth, wrong), Label.A), ((wrong, truth), Label.B), ((truth, truth), Label.TIE)):
        comparison = lab(family.ask(problem), f"{answers[0]}.", f"It is {answers[1]}.")
        assert problem_of(comparison) == problem
        assert true_label(comparison) is label
        assert verify(comparison, write_rationale(comparison)).correct


@pytest.mark.parametrize(
    ("old", "new", "derivation", "checks", "follows"),
    [
        ("7+6=13", "7+6=12", False, True, True),
        ("4+8+1=13", "4+8=12", False, True, True),
        ("so 933", "so 923", False, True, True),
        ("347+586:", "347+585:", False, True, True),
        (", 3+5+1=9", "", False, True, True),
        ("says 943", "says 944", True, False, True),
        ("4/3", "4=3", True, False, True),
        (" 4/3", "", True, False, True),
        ("Response B is wrong", "Response B is right", True, False, False),
        ("Right: Response A.", "Right: none.", True, False, True),
        ("Response A is better", "Response B is better", True, True, False),
    ],
)
def test_each_mistake_is_found_in_its_own_part(
    old: str, new: str, derivation: bool, checks: bool, follows: bool
) -> None:
    text = write_rationale(SUM)
    assert text.count(old) == 1
    found = verify(SUM, text.replace(old, new))
    assert (found.derivation, found.checks, found.follows) == (derivation, checks, follows)
    assert not found.correct


def test_answers_are_compared_place_by_place() -> None:
    assert check("A", "943", "933") == "Response A says 943: 9=9 4/3 3=3. Response A is wrong."
    assert check("A", "93", "933") == "Response A says 93: 9=9 3=3 -/3. Response A is wrong."
    assert check("A", "933", "93") == "Response A says 933: 9=9 3=3 3/-. Response A is wrong."
    assert check("A", "1", "1") == "Response A says 1: 1=1. Response A is right."


def test_the_checks_may_stand_in_either_order_but_not_twice() -> None:
    head, first, second, right, end = write_rationale(SUM).split("\n")
    assert verify(SUM, "\n".join([head, second, first, right, end])).correct
    assert not verify(SUM, "\n".join([head, first, first, right, end])).well_formed


def test_the_right_ones_are_listed() -> None:
    right, wrong = (check(side, answer, "933") for side, answer in (("A", "933"), ("B", "943")))
    assert listed([right, wrong]) == listed([wrong, right]) == "Right: Response A."
    assert listed([right, right.replace("Response A", "Response B")]) == "Right: Response A, Response B."
    assert listed([wrong]) == "Right: none."


@given(st.text(max_size=200))
def test_any_text_can_be_verified(text: str) -> None:
    assert not verify(SUM, text).correct


def test_what_is_not_of_the_lab_is_refused() -> None:
    with pytest.raises(ValueError, match="not a comparison of the lab"):
        true_label(make("other"))
    with pytest.raises(ValueError, match="not a comparison of the lab"):
        true_label(lab("What is 1+2?", "three", "3."))
    assert problem_of(lab("What is 12+345?", "1.", "2.")) is None
