"""Proofs and rationales are two spellings of one text, and the score prefers what belongs to its comparison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Label
from gramr2.judging.proving import PROOF_OPENING, ProvingTemplate, from_proof, proof_score, to_proof
from gramr2.judging.template import complete

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)
bodies = texts.filter(lambda text: not text.startswith(("Conclusion:", "Feedback:")) and "<" not in text)


@given(bodies, st.sampled_from(list(Label)))
def test_the_rule_reads_back_what_it_wrote(body: str, label: Label) -> None:
    rationale = complete(body, label)
    assert from_proof(to_proof(rationale, label), label) == rationale


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (
            f"{PROOF_OPENING}A is fine.\nConclusion: Response A is better.",
            "Feedback: A is fine.\nConclusion: Response A is better.",
        ),
        ("A is fine.", "Feedback: A is fine.\nConclusion: Response A is better."),
        (f"{PROOF_OPENING}A is fine.\nConclusion: Response B is better.", None),
        (f"{PROOF_OPENING}\nConclusion: Response A is better.", None),
        (PROOF_OPENING, None),
    ],
)
def test_what_is_read_of_a_proof(proof: str, expected: str | None) -> None:
    assert from_proof(proof, Label.A) == expected
    stated = "Conclusion:" in proof
    assert from_proof(proof, Label.A, ending=True) == (expected if stated else None)


@pytest.mark.parametrize(
    "text",
    [
        "A says 5. Conclusion: Response B is better.",
        "A says 5.\nConclusion:\nResponse B is better.",
        "A says 5.\n**Conclusion:** Response B is better.",
        "A says 5.\n  CONCLUSION: neither response is better.",
        "Conclusion: Response B is better.\nNo, wait.\nConclusion: Response A is better.",
    ],
)
def test_a_proof_that_comes_to_another_verdict_in_its_own_way_is_none(text: str) -> None:
    assert from_proof(text, Label.A) is None


def test_the_prompt_states_the_verdict_and_the_principles() -> None:
    text = ProvingTemplate(("Facts first.",)).render(make(), Label.TIE)[0].content
    assert text.endswith("The verdict: Neither response is better.")
    assert "1. Facts first." in text
    messages, pieces = ProvingTemplate().conversation(make(), Label.B, "B is right.\nConclusion: Response B is better.")
    assert messages[0].content.endswith("The verdict: Response B is better.")
    assert "".join(pieces) == f"{PROOF_OPENING}B is right.\nConclusion: Response B is better."
    with pytest.raises(ValueError, match="needs a rationale"):
        ProvingTemplate().conversation(make(), Label.B, None)


def test_the_score_is_at_most_zero_and_higher_for_what_is_unlikely_alone() -> None:
    assert proof_score(-10, -40) == -0.25
    assert proof_score(-40, -40) == -1
    assert proof_score(-60, -40) < -1
    assert proof_score(-10, 0.0) == float("-inf")
