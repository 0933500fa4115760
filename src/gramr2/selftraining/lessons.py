"""From a decision to what it would teach: the label, with a rationale from the configured source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gramr2.comparison import Comparison, LabeledComparison, Order
from gramr2.judgment import Judgment
from gramr2.selftraining.candidate import Candidate
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


def proving(candidates: Sequence[Candidate], prover: Prover) -> list[Candidate]:
    """A proof for each decided label, in the stored order; candidates without a usable proof get no lesson."""
    decided = [(i, c.decision.label) for i, c in enumerate(candidates) if c.decision.label is not None]
    proofs = prover.prove([(candidates[i].comparison, label) for i, label in decided])
    result = list(candidates)
    for (i, label), proof in zip(decided, proofs, strict=True):
        if proof is not None:
            lesson = LabeledComparison(result[i].comparison, label, proof.rationale)
            measures = {**result[i].measures, "proof_score": round(proof.score, 4), "proofs": proof.eligible}
            result[i] = replace(result[i], lesson=lesson, measures=measures)
    return result
