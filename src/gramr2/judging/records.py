"""Comparisons and decisions as JSON rows: what ``gramr2 judge`` writes and run folders keep."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison, Message
from gramr2.judgment import Decision, Judgment

UNDECIDED = "the judge came to no decision"


def prompt_row(prompt: tuple[Message, ...]) -> str | list[dict[str, str]]:
    """A prompt as a text if it is a single turn of a user, else as its turns."""
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    return [{"role": turn.role, "content": turn.content} for turn in prompt]


def comparison_row(comparison: Comparison) -> dict[str, Any]:
    """The row that ``gramr2.data`` reads back as the same comparison; absent optional fields are left out."""
    row: dict[str, Any] = {
        "id": comparison.id,
        "prompt": prompt_row(comparison.prompt),
        "responses": list(comparison.responses),
    }
    extras = {"category": comparison.category, "source": comparison.source, "group": comparison.group}
    return row | {key: value for key, value in extras.items() if value is not None}


def labeled_row(item: LabeledComparison) -> dict[str, Any]:
    """A labelled comparison as a row; its target, where it has one, as [P(A), P(B), P(tie)], and its annotator where known."""
    row = comparison_row(item.comparison) | {"label": item.label.value, "rationale": item.rationale}
    extras = {"target": item.target and list(item.target), "annotator": item.annotator}
    return row | {key: value for key, value in extras.items() if value is not None}


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision as the public row of ``gramr2 judge``.

    ``rationale`` is the best vote's, as written; when that vote saw the swapped order, ``rationale_order`` is "ba" and its
    “Response A” means the second response. Votes state their outcome for the stored order.
    """
    return {
        "id": decision.id,
        "label": decision.label.value if decision.label else None,
        "confidence": _round(decision.confidence),
        "agreement": _round(decision.agreement),
        "order_flip": decision.order_flip,
        "coverage": _round(decision.coverage),
        "rationale": decision.rationale,
        "rationale_order": decision.rationale_order.value if decision.rationale_order else None,
        "probabilities": _rounded(decision.probabilities.as_dict()) if decision.probabilities else None,
        "readings": {name.value: _rounded(belief.as_dict()) for name, belief in decision.readings.items()},
        "votes": [_vote(vote) for vote in decision.judgments],
    }


def reason_for(decision: Decision) -> str | None:
    """Why there is no label; None if there is one."""
    if decision.label:
        return None
    outcomes = Counter(vote.outcome.value for vote in decision.judgments)
    why = ", ".join(f"{n} × {what}" for what, n in outcomes.items()) or "a reward is NaN or infinite"
    return f"{UNDECIDED}: {why}"


def _vote(vote: Judgment) -> dict[str, Any]:
    return {
        "order": vote.order.value,
        "reading": vote.reading.value,
        "outcome": vote.outcome.value,
        "rationale": vote.rationale,
        "probabilities": _rounded(vote.probabilities.as_dict()) if vote.probabilities else None,
        "finish_reason": vote.finish_reason.value,
        "tokens": vote.completion_tokens,
    } | ({"error": vote.error} if vote.error else {})


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}
