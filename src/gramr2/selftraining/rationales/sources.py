"""From a decision to a training example: the label, with a rationale from the configured source.

This step of the stack comes right before the first filter that needs more than decisions, so that no rationales are
written for comparisons dropped earlier. A label that was read directly has no rationale yet: votes are cast for it here,
and one that reaches the label supplies the rationale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gramr2.comparison import Comparison, LabeledComparison, Order
from gramr2.judgment import Decision, Judgment, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.rationales.proofs import Prover
from gramr2.selftraining.rationales.quality import assess


def joint(candidate: Candidate, principles: Sequence[str]) -> Candidate:
    """The judge's own rationale: of the votes that state the decision's label, the one that scores best as a rationale.

    Among equal scores, the vote with the higher P(label) wins, then the stored order and the first sample.
    """
    label = candidate.decision.label
    if label is None:
        return candidate

    def strength(vote: Judgment) -> tuple[float, float, bool, int]:
        score = assess(written_by(vote, candidate.comparison), principles).score if vote.rationale else -1.0
        belief = 1.0 if vote.probabilities is None else vote.probabilities[label]
        return score, belief, vote.order is Order.AB, -vote.sample

    votes = candidate.decision.judgments
    backing = [v for v in votes if v.outcome.label is label and v.reading is Reading.REASONED]
    best = max(backing, key=strength, default=None)
    if best is None:
        return candidate
    return replace(candidate, example=written_by(best, candidate.comparison), swapped=best.order is Order.BA)


def written_by(vote: Judgment, comparison: Comparison) -> LabeledComparison:
    """One vote as a labelled comparison, in the order it was shown.

    Raises:
        ValueError: the vote states no label.
    """
    label = vote.outcome.label
    if label is None:
        raise ValueError(f"{comparison.id}: a failed vote has no label to learn")
    shown = label if vote.order is Order.AB else label.swap()
    return LabeledComparison(comparison.shown(vote.order), shown, vote.rationale)


def label_only(candidate: Candidate) -> Candidate:
    """The label without a rationale (the ablation)."""
    label = candidate.decision.label
    return candidate if label is None else replace(candidate, example=LabeledComparison(candidate.comparison, label))


@dataclass(frozen=True, slots=True)
class Joint:
    """The judge's own rationales as a step of the stack.

    ``vote`` casts reasoned votes for decisions that have none. A label that no single vote states is dropped,
    unless it was read directly: then it is learnt without a rationale.
    """

    vote: Callable[[Sequence[Comparison]], Sequence[Decision]] | None = None
    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], stage: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return [self._example(each, stage) for each in self._with_votes(candidates)]

    def _example(self, candidate: Candidate, stage: FilterContext) -> Candidate | Rejection:
        found = joint(candidate, stage.principles)
        if found.example is None and candidate.decided_directly:
            found = label_only(candidate)
        if found.example is None:
            return Rejection(self.name, "no single vote states the averaged label", found.decision.label, None)
        return found

    def _with_votes(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, with reasoned votes added to direct ones."""
        silent = [c for c in candidates if all(v.reading is Reading.DIRECT for v in c.decision.judgments)]
        cast = self.vote([c.comparison for c in silent]) if self.vote and silent else ()
        votes = {decision.id: decision.judgments for decision in cast}

        def joined(decision: Decision) -> Decision:
            return replace(decision, judgments=(*decision.judgments, *votes.get(decision.id, ())))

        return [replace(c, decision=joined(c.decision)) for c in candidates]


@dataclass(frozen=True, slots=True)
class LabelOnly:
    """Training examples without rationales as a step of the stack."""

    name: str = "abstained"

    def review(self, candidates: Sequence[Candidate], stage: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        return [label_only(candidate) for candidate in candidates]


@dataclass(frozen=True, slots=True)
class Proving:
    """Proofs as a step of the stack, in the stored order; drops labels without a usable proof."""

    prover: Prover
    name: str = "unproven"

    def review(self, candidates: Sequence[Candidate], stage: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        labels = [(c.comparison, c.decision.label) for c in candidates]
        proofs = self.prover.prove([(comparison, label) for comparison, label in labels if label is not None])
        result: list[Candidate | Rejection] = []
        for candidate, (comparison, label), proof in zip(candidates, labels, proofs, strict=True):
            if proof is None or label is None:
                result.append(Rejection(self.name, "no usable proof of the label was written", label, None))
            else:
                measures = {**candidate.measures, "proof_score": round(proof.score, 4), "proofs": proof.eligible}
                example = LabeledComparison(comparison, label, proof.rationale)
                result.append(replace(candidate, example=example, measures=measures))
        return result
