"""The preference-proving prompt: the label is given, the model writes why (GRAM-R², §3, the proving model π_ψ(ẑ|s,l)).

A proof and a rationale are two forms of the same text; they differ in how they open, and a rule converts one into the other.
Both end in the judge's “Conclusion: …”, because a small model hardly learns another ending from a few examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gramr2.comparison import Comparison, Label, Message
from gramr2.judging.template import CONCLUSIONS, OPENING, complete, sections
from gramr2.written import joined, own

PROOF_OPENING = "Here is my justification.\n"
VERDICTS = {label: sentence.removeprefix("Conclusion: ") for label, sentence in CONCLUSIONS.items()}
_CONCLUSION = re.compile(r"\s*^Conclusion: (.*?)\s*\Z", re.MULTILINE)
_SAID = re.compile(rf"conclusion\W{{1,20}}({'|'.join(map(re.escape, VERDICTS.values()))})", re.IGNORECASE)

TASK = (
    "Two responses to a prompt are shown with the verdict on them. Justify the verdict from what the responses say: "
    "feedback on each response, then the comparison. End with the line «Conclusion: » and the verdict."
)


@dataclass(frozen=True, slots=True)
class ProvingTemplate:
    """Renders labelled comparisons as requests for a proof; ``principles`` are those of the judge."""

    principles: tuple[str, ...] = ()

    @property
    def prefill(self) -> str:
        """The start of the proof, given to the model."""
        return own(PROOF_OPENING)

    def render(self, comparison: Comparison, label: Label = Label.TIE) -> tuple[Message, ...]:
        """The prompt for a comparison and its label, with the responses in the order of the comparison."""
        listed = "".join(f"\n{i}. {text}" for i, text in enumerate(self.principles, 1))
        principles = f"\nUse these principles:{listed}" if listed else ""
        given = own(f"\nThe verdict: {VERDICTS[label]}")
        return (Message("user", joined(own(f"{TASK}{principles}\n\n"), sections(comparison), given)),)

    def conversation(
        self, comparison: Comparison, label: Label, rationale: str | None
    ) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """Prompt and answer to train on, the answer in pieces whose ends are token boundaries.

        Raises:
            ValueError: there is no rationale to make a proof of.
        """
        if rationale is None:
            raise ValueError(f"{comparison.id}: a proof needs a rationale")
        return self.render(comparison, label), (self.prefill, to_proof(rationale, label).removeprefix(PROOF_OPENING))


def proof_score(given: float, alone: float) -> float:
    """Score = −log π(ẑ|s,l) / log π(ẑ) of GRAM-R² (§3), in (−∞, 0]: higher is better.

    A good proof is likely for its comparison and unlikely without it. One plus the score is the normalised pointwise mutual
    information of the two. A text whose ``alone`` is near zero says nothing and scores minus infinity.

    Args:
        given: log π(ẑ|s,l) in nats.
        alone: log π(ẑ) in nats, under a prompt that says nothing about the comparison.
    """
    return -given / alone if alone < -1e-6 else float("-inf")


def to_proof(rationale: str, label: Label) -> str:
    """Convert a rationale to a proof; the rationale is first brought into the judge's form."""
    body = complete(rationale, label).removesuffix(CONCLUSIONS[label]).rstrip()
    return f"{PROOF_OPENING}{body.removeprefix(OPENING).strip()}\n{CONCLUSIONS[label]}"


def from_proof(proof: str, label: Label, *, ending: bool = False) -> str | None:
    """Convert a proof to a rationale; None if the proof reaches another verdict or is empty.

    A missing opening is added, and so is a missing ending unless ``ending`` requires one: a model that was not trained on
    proofs may leave it out, while one that was trained on them and does not reach its conclusion has gone astray.
    """
    text = proof.removeprefix(PROOF_OPENING)
    found = _CONCLUSION.search(text)
    if found[1] != VERDICTS[label] if found else ending:
        return None
    # A model that is only prompted writes its conclusion in its own way, in bold or inside a line.
    if any(said.lower() != VERDICTS[label].lower() for said in _SAID.findall(text)):
        return None
    body = (text[: found.start()] if found else text).strip()
    return f"{OPENING} {body}\n{CONCLUSIONS[label]}" if body else None
