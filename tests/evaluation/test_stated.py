"""What a rationale states is found by rule, and can be taken out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Label
from gramr2.evaluation.stated import concluded, contradicts, statements, unsaid
from gramr2.mentions import swap_mentions

A, B, TIE = Label.A, Label.B, Label.TIE


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Feedback: Response A names it.\nConclusion: Response A is better.", A),
        ("Response A names it.\n**Conclusion:** Response B", B),
        ("Conclusion: Neither response is better.", TIE),
        ("It cites a source. Overall, Response B is clearly the better answer than Response A.", B),
        ("Both are short. Response A is much worse.", B),
        ("So I prefer Answer B.", B),
        ("A wins.", A),
        ("Both responses are equally good.", TIE),
        ("Response A is not better.", None),
        ("Response A is more complete.", A),
        ("Both are right, but Response B's answer was slightly less clear.", A),
        ("Response B is more complete. It has five lines.", None),
        ("Response B's answer is better.", B),
        ("Response B is better at rhymes. Response A has five lines.", None),
        ("A better answer would cite Response B.", None),
        ("Conclusion: Response A or Response B", None),
        ("", None),
    ],
)
def test_what_a_rationale_comes_to(text: str, label: Label | None) -> None:
    assert concluded(text) is label


def test_another_verdict_before_the_conclusion_contradicts_it_and_a_partial_one_does_not() -> None:
    end = "\nConclusion: Response A is better."
    assert contradicts(f"Response B is better.{end}", A)
    assert contradicts(end, B)
    assert not contradicts(f"Response B is better at rhymes, but it is wrong.{end}", A)
    assert not contradicts("Response A has five lines.", A)


def test_what_states_the_verdict_is_taken_out_and_reasons_and_letters_stay() -> None:
    text = "Feedback: Response A is better than Response B because Response A cites a source.\nConclusion: Response A is better."
    assert unsaid(text) == "Feedback: … because Response A cites a source."
    assert unsaid("Response B is vague. Overall, Response A explains more.") == "Response B is vague."
    assert unsaid("Response B is more complete.") == "Response B is more complete."


PARTS = [
    "Response A",
    "Response B",
    "is better",
    "is worse",
    "is more",
    "I prefer",
    "wins",
    ".",
    "cites",
    "\nConclusion:",
]


@given(st.lists(st.sampled_from(PARTS)))
def test_nothing_stated_is_left_and_exchanging_the_letters_exchanges_the_verdict(parts: list[str]) -> None:
    text = " ".join(parts)
    found, swapped = concluded(text), concluded(swap_mentions(text))
    assert (found and found.swap()) is swapped
    assert statements(unsaid(text)) == []
    assert unsaid(swap_mentions(text)) == swap_mentions(unsaid(text))
