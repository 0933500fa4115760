"""Which readings of the verdict a run's judges use: set in the config, or chosen by how they do for the seed judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from gramr2.comparison import Label, LabeledComparison
from gramr2.data import subset
from gramr2.evaluation.calibration import MIN_ITEMS
from gramr2.evaluation.readings import Fit, fit_weights, order_agreement
from gramr2.files import write_json
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode
from gramr2.judgment import ANSWERED, BOTH, DIRECT, REASONED, Decision, Reading, ReadingWeights
from gramr2.randomness import derive_seed
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.records import ReadingsRecord

FILE = "readings.json"
ASKED = 40
"""unlabelled comparisons on which the two orders are compared if there are too few labels; gives κ to about ±0.15"""
MARGIN = 0.02
"""nats by which a more expensive reading must beat a cheaper one on held-out comparisons"""


def readings_of(context: RunContext, number: int, model: Path) -> ReadingWeights:
    """The reading weights of a round's judge; determined once and written to ``rounds/N/readings.json`` with the reason.

    ``auto`` is decided for the seed judge and holds for the whole run. Weights are refitted for each judge if there are
    held-out seed comparisons; otherwise every reading in use has weight 1.
    """
    file = context.folder.round(number) / FILE
    if file.exists():
        return _weights(ReadingsRecord.read(file))
    record = _found(context, number, model).model_copy(update={"ties": ties_allowed(context)})
    # Saved with the judge, so that anything that loads the folder prompts and reads verdicts as the run did.
    options = context.config.model.model_dump(mode="json")["chat_template_options"]
    save_template(replace(context.template, readings=_weights(record)), model, options)
    write_json(file, record.row())
    if number == 0:
        context.observer.note(f"verdicts are read {_name(record)}: {record.why}")
    return _weights(record)


def _weights(record: ReadingsRecord) -> ReadingWeights:
    return ReadingWeights(record.weights["direct"], record.weights["reasoned"], record.ties)


def ties_allowed(context: RunContext) -> bool:
    """Whether the run's judges may call a comparison a tie: as ``judge.ties`` says; for auto, if the seed has ties."""
    return ties_in(context.config.judge.ties, (*context.data.seed, *context.data.held_out))


def ties_in(wanted: Literal["auto"] | bool, labelled: Sequence[LabeledComparison]) -> bool:
    """The value of ``judge.ties``, with auto resolved on these labelled comparisons."""
    return wanted if wanted != "auto" else any(item.label is Label.TIE for item in labelled)


def _name(record: ReadingsRecord) -> str:
    weights = record.weights
    both = weights["direct"] > 0 and weights["reasoned"] > 0
    return "both ways" if both else "directly" if weights["direct"] > 0 else "after the rationale"


def _found(context: RunContext, number: int, model: Path) -> ReadingsRecord:
    wanted = context.config.judge.verdict
    if context.template.mode is JudgeMode.LABEL:
        return _record(DIRECT, "the judge writes no rationales")
    if wanted == "auto" and not context.config.training.verdict.weight:
        return _record(REASONED, "the direct reading is not trained (training.verdict.weight: 0)")
    if wanted == "auto" and number > 0:
        before = readings_of(context, 0, context.folder.round(0) / "model")
        if len(before.asked) == 1:
            return _record(_unweighted(before.asked), "as for the seed judge")
        wanted = "both"
    if wanted in ("direct", "reasoned"):
        return _record(DIRECT if wanted == "direct" else REASONED, f"judge.verdict: {wanted}")
    if len(context.data.held_out) >= MIN_ITEMS:
        return _by_labels(context, number, model, wanted)
    if wanted == "both":
        return _record(
            BOTH, f"weights need {MIN_ITEMS} held-out seed comparisons (data.held_out_share), so each counts 1"
        )
    if not context.data.pool:
        if any(item.rationale for item in context.data.seed):
            return _record(BOTH, "there is no unlabelled comparison to compare orders on, so each counts 1")
        return _record(DIRECT, "there is no unlabelled comparison to compare orders on, and no rationale to learn")
    return _by_orders(context, number, model)


def _by_labels(context: RunContext, number: int, model: Path, wanted: str) -> ReadingsRecord:
    items = context.data.held_out
    decisions = _judged(context, number, model, [item.comparison for item in items])
    readings, labels = [d.readings for d in decisions], [item.label for item in items]
    uses: dict[str, Sequence[Reading]] = {
        "direct": [Reading.DIRECT],
        "reasoned": [Reading.REASONED],
        "both": [*ANSWERED],
    }
    fits = {name: fit_weights(readings, labels, use, ties_allowed(context)) for name, use in uses.items()}
    best = "both" if wanted == "both" else _cheapest(fits)
    weights = fits[best].weights
    if not weights.asked:
        # The best weight of a misleading reading is 0, but at least one reading must count.
        weights = _unweighted(uses[best])
    summary = ", ".join(f"{name} {fit.accuracy:.0%} ({fit.loss:.3f} nats)" for name, fit in fits.items())
    why = f"on {len(items)} held-out seed comparisons {summary}"
    told = {name: asdict(fit) | {"weights": _counts(fit.weights)} for name, fit in fits.items()}
    return _record(weights, why).model_copy(update={"fits": told})


def _unweighted(readings: Sequence[Reading]) -> ReadingWeights:
    """These readings with weight 1 each."""
    return ReadingWeights(float(Reading.DIRECT in readings), float(Reading.REASONED in readings))


def _cheapest(fits: dict[str, Fit]) -> str:
    """The cheapest option within ``MARGIN`` of the lowest loss: a direct verdict costs a prefill, a rationale must be
    generated."""
    least = min(fit.loss for fit in fits.values())
    return next(name for name in ("direct", "reasoned", "both") if fits[name].loss <= least + MARGIN)


def _by_orders(context: RunContext, number: int, model: Path) -> ReadingsRecord:
    asked = subset(context.data.pool, ASKED, derive_seed(context.config.seed, "readings"))
    decisions = _judged(context, number, model, asked)
    kappas = {reading: order_agreement(decisions, reading, ties_allowed(context)) for reading in ANSWERED}
    direct, reasoned = (-1.0 if kappas[r] is None else float(kappas[r] or 0.0) for r in ANSWERED)
    told = f"agreement of the two orders on {len(asked)} unlabelled comparisons, κ: direct {direct:.2f}, reasoned {reasoned:.2f}"
    why = f"{told} (fewer than {MIN_ITEMS} held-out seed comparisons)"
    chosen = _record(REASONED if reasoned > direct else DIRECT, why)
    return chosen.model_copy(update={"kappa": {r.value: kappas[r] for r in ANSWERED}})


def _judged(context: RunContext, number: int, model: Path, comparisons: Sequence[Any]) -> list[Decision]:
    title = f"round {number} · read {len(comparisons)} verdicts directly and after a rationale"
    return context.judge(
        title, model, comparisons, context.config.judge.gold, readings=replace(BOTH, ties=ties_allowed(context))
    )


def _record(weights: ReadingWeights, why: str) -> ReadingsRecord:
    return ReadingsRecord(weights=_counts(weights), why=why)


def _counts(weights: ReadingWeights) -> dict[str, float]:
    return {"direct": weights.direct, "reasoned": weights.reasoned}
