"""What is seen of a rationale without a model."""

from __future__ import annotations

import pytest

from conftest import labeled
from gramr2.comparison import Label
from gramr2.selftraining.rationales.quality import Conclusion, addressed_share, assess, quoted_share, repetition


def test_repetition() -> None:
    assert repetition(["a", "b", "c", "d", "e", "f"]) == 0
    assert repetition(["a", "b", "c", "d", "a", "b", "c", "d", "a", "b", "c", "d"]) > 0.5
    assert repetition(["a"]) == 0


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("no quotation", 1.0),
        ('says "Water boils at 100"', 1.0),
        ("says “water  BOILS at 100.”", 1.0),
        ("says «water boils» and `ice melts`", 0.5),
        ('says "salt"', 0.0),
        ('the letter "q" is not evidence', 1.0),
        ("it's the dog's and the cat's", 1.0),
    ],
)
def test_quotations_must_occur(text: str, share: float) -> None:
    assert quoted_share(text, ["At sea level water boils at 100 degrees."]) == share


def test_principles() -> None:
    principles = ["Be correct: facts are supported.", "Keep the requested length."]
    assert addressed_share("The facts are supported and correct.", principles) == 0.5
    assert addressed_share("Principle 2 is met; supporting facts are correct.", principles) == 1
    assert addressed_share("Nothing.", principles) == 0
    assert addressed_share("Nothing.", []) == 1


def test_the_parts_of_the_score() -> None:
    best = "Response A is right, Response B is not.\nConclusion: Response A is better."
    assert assess(labeled("x", Label.A, best)).score == 1
    against = assess(labeled("x", Label.B, best))
    assert against.conclusion is Conclusion.CONTRADICTS
    assert against.score == pytest.approx(0.8)
    assert assess(labeled("x", Label.A, None)).conclusion is Conclusion.MISSING
