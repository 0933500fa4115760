"""One round's pseudo-labels: judge, calibrate, add rationales, filter, and record the outcome of each comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.evaluation.calibration import MIN_ITEMS, Calibration, fit_temperature
from gramr2.files import read_jsonl, write_json, write_jsonl
from gramr2.judging.records import comparison_row, decision_row, labeled_row
from gramr2.judgment import REASONED, Decision, LabelProbabilities
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Filter, FilterContext, Rejection
from gramr2.selftraining.filters.duplicates import text_of
from gramr2.selftraining.filters.stack import apply_filters, build
from gramr2.selftraining.gate.baselines import margins_of
from gramr2.selftraining.rationales.proofs import Prover
from gramr2.selftraining.rationales.readers import ModelReaders
from gramr2.selftraining.rationales.sources import Joint, LabelOnly, Proving
from gramr2.selftraining.readings import ties_allowed
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.records import LabellingRecord, PoolCounts, RationaleCounts
from gramr2.selftraining.second_view import as_probabilities, joined
from gramr2.selftraining.spending import spent


def label_pool(
    context: RunContext,
    number: int,
    model: Path,
    slice_: Sequence[Comparison],
    kept_before: Sequence[LabeledComparison],
    tightenings: int,
    prover: Prover,
) -> None:
    """Judge a slice with ``model`` and write the round's ``dropped.jsonl``, ``labelling.json`` and, last, ``kept.jsonl``.

    Args:
        kept_before: comparisons kept in earlier rounds, for the duplicates filter.
        tightenings: number of roll-backs so far, each of which makes the thresholds stricter.
    """
    config = context.config
    title = f"round {number} · judge {len(slice_)} unlabelled comparisons"
    decisions = context.judge(title, model, slice_, config.judge.pool)
    votes = spent(context, number, model, slice_, decisions)
    margins = second_view(context, slice_)
    if margins and config.second_view and config.second_view.weight:
        view = config.second_view
        decisions = joined(decisions, margins, view.weight, view.judge_cap, ties=ties_allowed(context))
    calibration, ties = _calibration(context, number, model), ties_allowed(context)
    beliefs = {
        d.id: d.probabilities if calibration is None else calibration.applied_to(d.probabilities, ties)
        for d in decisions
        if d.probabilities is not None
    }
    candidates = [
        Candidate(comparison, d, None if d.label is None else beliefs[d.id][d.label])
        for comparison, d in zip(slice_, decisions, strict=True)
    ]
    source = config.rationale.source

    def vote(comparisons: Sequence[Comparison]) -> list[Decision]:
        asked = f"round {number} · write rationales for {len(comparisons)} labels"
        return context.judge(asked, model, comparisons, config.judge.pool, readings=REASONED)

    examples: Filter = Joint(vote) if source == "joint" else Proving(prover) if source == "proving" else LabelOnly()
    stage = FilterContext(
        number=number,
        rounds=config.rounds,
        seed=config.seed,
        tightenings=tightenings,
        tighten_by=config.guards.tighten_by,
        principles=tuple(config.judge.principles),
        known={f"gold {item.comparison.id}": text_of(item.comparison) for item in context.data.gold},
        learnt=_learnt(context, kept_before, {c.id for c in slice_}),
        readers=ModelReaders(context, model),
        second_view=as_probabilities(margins),
        earlier=_earlier(context, number),
    )
    stack = build(config.filters, examples)
    kept, dropped = apply_filters(stack, candidates, stage)
    if config.training.verdict.soft:
        kept = [_softened(candidate, beliefs[candidate.comparison.id]) for candidate in kept]
    labels = Counter(c.decision.label.value for c in candidates if c.decision.label is not None)
    counts = Counter(rejection.filter for _, rejection in dropped)
    words = [len(c.rationale.split()) for c in kept if c.rationale]
    summary = LabellingRecord(
        pool=PoolCounts(
            judged=len(slice_),
            kept=len(kept),
            dropped={each.name: counts[each.name] for each in stack if counts[each.name]},
        ),
        labels=dict(sorted(labels.items())),
        thresholds=stage.thresholds,
        calibration=calibration,
        rationales=RationaleCounts(
            source=source, kept=len(words), mean_words=round(fmean(words), 2) if words else None
        ),
        **({} if votes is None else {"votes": votes}),
    )
    folder = context.folder.round(number)
    write_jsonl(folder / "dropped.jsonl", (dropped_row(*each) for each in dropped))
    write_json(folder / "labelling.json", summary.row())
    write_jsonl(folder / "kept.jsonl", (kept_row(each) for each in kept))


def kept_row(candidate: Candidate) -> dict[str, Any]:
    """A kept candidate: the example as a labelled row, with the decision behind it.

    ``swapped`` says that the row's responses are in the reverse of the stored order. Votes and probabilities always refer to
    the stored order.

    Raises:
        ValueError: the candidate has no example.
    """
    if candidate.example is None:
        raise ValueError(f"{candidate.comparison.id}: kept without an example")
    numbers = decision_row(candidate.decision)
    keys = ("agreement", "order_flip", "coverage", "probabilities", "readings", "votes")
    return labeled_row(candidate.example) | {
        "swapped": candidate.swapped,
        "confidence": _rounded(candidate.confidence),
        "measures": dict(candidate.measures),
        **{key: numbers[key] for key in keys},
    }


def dropped_row(candidate: Candidate, rejection: Rejection) -> dict[str, Any]:
    """A dropped candidate with its rejection; the rationale is the one that would have been learnt."""
    row = comparison_row(candidate.comparison) | asdict(rejection) | decision_row(candidate.decision)
    row |= {"confidence": _rounded(candidate.confidence), "measures": dict(candidate.measures)}
    if candidate.example is not None:
        row |= {"rationale": candidate.rationale, "rationale_order": "ba" if candidate.swapped else "ab"}
    return row


def second_view(context: RunContext, slice_: Sequence[Comparison], *, warmed: bool = True) -> dict[str, float]:
    """The second view's log-odds of A over B, by id; empty if the run has no second view.

    Args:
        warmed: use the warmed-up backbone, if the run has one.
    """
    named = [f.view_named or "frozen-features" for f in context.config.filters if f.needs_second_view]
    name = context.config.second_view.name if context.config.second_view else next(iter(named), None)
    return {} if name is None else margins_of(context, name, slice_, warmed=warmed)


def _earlier(context: RunContext, number: int) -> dict[str, Label]:
    """The label that the previous round's judge gave each comparison, kept or not."""
    folder = context.folder.round(number - 1)
    found: dict[str, Label] = {}
    for name in ("kept", "dropped"):
        for row in read_jsonl(folder / f"{name}.jsonl") if (folder / f"{name}.jsonl").exists() else ():
            if row["label"] is not None:
                label = Label(row["label"])
                found[row["id"]] = label.swap() if row.get("swapped") else label
    return found


def _softened(candidate: Candidate, belief: LabelProbabilities) -> Candidate:
    """The example with the calibrated probabilities as its target, in the example's own order."""
    if candidate.example is None:
        return candidate
    shown = belief.swap() if candidate.swapped else belief
    return replace(candidate, example=replace(candidate.example, target=(shown.a, shown.b, shown.tie)))


def _calibration(context: RunContext, number: int, model: Path) -> Calibration | None:
    held_out = context.data.held_out
    if not any(f.calibrates for f in context.config.filters):
        return None
    if len(held_out) < MIN_ITEMS:
        if number == 1:
            context.observer.note(
                f"confidence is not calibrated: this needs {MIN_ITEMS} held-out seed comparisons (data.held_out_share), "
                f"and there are {len(held_out)}"
            )
        return None
    title = f"round {number} · calibrate on {len(held_out)} held-out seed comparisons"
    decisions = context.judge(title, model, [item.comparison for item in held_out], context.config.judge.pool)
    pairs = [
        (decision.probabilities, item.label)
        for item, decision in zip(held_out, decisions, strict=True)
        if decision.probabilities is not None
    ]
    beliefs, labels = [belief for belief, _ in pairs], [label for _, label in pairs]
    return fit_temperature(beliefs, labels, ties_allowed(context))


def _learnt(context: RunContext, kept_before: Sequence[LabeledComparison], now: set[str]) -> dict[str, Comparison]:
    """Comparisons that must not be learnt again, by data set and id."""
    seed = {f"seed {item.comparison.id}": item.comparison for item in (*context.data.seed, *context.data.held_out)}
    # A comparison that is judged again replaces its earlier version, so it is not a duplicate of it.
    return seed | {
        f"kept {item.comparison.id}": item.comparison for item in kept_before if item.comparison.id not in now
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
