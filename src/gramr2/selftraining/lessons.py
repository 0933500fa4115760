"""From a decision to what it would teach: the label, with a rationale from the configured source.

In the stack it stands where the first filter looks at rationales, so that none is written for what is dropped before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gramr2.comparison import Comparison, LabeledComparison, Order
from gramr2.judgment import Judgment
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Objection, Stage
from gramr2.selftraining.proofs import Prover
from gramr2.selftraining.quality import assess


def joint(candidate: Candidate, principles: Sequence[str]) -> Candidate:
    """The judge's own rationale: of the votes that state the decision's label, the one that scores best as a rationale.

    Equal scores go to the vote that is surer of the label, then to the stored order and the first sample.
    """
    label = candidate.decision.label
    if label is None:
        return candidate

    def strength(vote: Judgment) -> tuple[float, float, bool, int]:
        score = assess(written_by(vote, candidate.comparison), principles).score if vote.rationale else -1.0
        belief = 1.0 if vote.probabilities is None else vote.probabilities[label]
        return score, belief, vote.order is Order.AB, -vote.sample

    backing = [vote for vote in candidate.decision.judgments if vote.outcome.label is label]
    best = max(backing, key=strength, default=None)
    if best is None:
        return candidate
    return replace(candidate, lesson=written_by(best, candidate.comparison), swapped=best.order is Order.BA)


def written_by(vote: Judgment, comparison: Comparison) -> LabeledComparison:
    """What one vote says, in the order it was shown.

    Raises:
        ValueError: the vote states no label.
    """
    label = vote.outcome.label
    if label is None:
        raise ValueError(f"{comparison.id}: a failed vote teaches nothing")
    shown = label if vote.order is Order.AB else label.swap()
    return LabeledComparison(comparison.shown(vote.order), shown, vote.rationale)


def label_only(candidate: Candidate) -> Candidate:
    """The label without a reason (the ablation)."""
    label = candidate.decision.label
    return candidate if label is None else replace(candidate, lesson=LabeledComparison(candidate.comparison, label))


@dataclass(frozen=True, slots=True)
class Joint:
    """The judge's own rationales as a step of the stack; drops labels that no single vote states."""

    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], stage: Stage) -> list[Candidate | Objection]:
        """See ``Filter``."""
        found = [joint(candidate, stage.principles) for candidate in candidates]
        return [
            Objection(self.name, "no single vote states the averaged label", each.decision.label, None)
            if each.lesson is None
            else each
            for each in found
        ]


@dataclass(frozen=True, slots=True)
class LabelOnly:
    """Lessons without rationales as a step of the stack."""

    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], stage: Stage) -> list[Candidate | Objection]:
        """See ``Filter``."""
        return [label_only(candidate) for candidate in candidates]


@dataclass(frozen=True, slots=True)
class Proving:
    """Proofs as a step of the stack, in the stored order; drops labels without a usable proof."""

    prover: Prover
    name: str = "unproven"

    def review(self, candidates: Sequence[Candidate], stage: Stage) -> list[Candidate | Objection]:
        """See ``Filter``."""
        labels = [(c.comparison, c.decision.label) for c in candidates]
        proofs = self.prover.prove([(comparison, label) for comparison, label in labels if label is not None])
        result: list[Candidate | Objection] = []
        for candidate, (comparison, label), proof in zip(candidates, labels, proofs, strict=True):
            if proof is None or label is None:
                result.append(Objection(self.name, "no usable proof of the label was written", label, None))
            else:
                measures = {**candidate.measures, "proof_score": round(proof.score, 4), "proofs": proof.eligible}
                lesson = LabeledComparison(comparison, label, proof.rationale)
                result.append(replace(candidate, lesson=lesson, measures=measures))
        return result
