"""A judge's results on gold: measured once, recorded, and read back by a resumed run without loading the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.faithfulness import Probe, probe
from gramr2.evaluation.metrics import evaluate
from gramr2.files import read_jsonl, write_jsonl
from gramr2.judging.records import comparison_row, decision_row
from gramr2.judging.template import JudgeMode
from gramr2.judging.voting import top_label
from gramr2.judgment import Decision
from gramr2.selftraining.readings import readings_of
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.folder import RunFolder
from gramr2.selftraining.run.records import GoldReport, RoundRecord
from gramr2.selftraining.second_view import deciding_view
from gramr2.text import percent

log = logging.getLogger("gramr2")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A judge's labels on gold, in the order of the gold set, and the metrics computed from them."""

    labels: tuple[Label | None, ...]
    metrics: GoldReport
    faithfulness: Mapping[str, Probe] = field(default_factory=dict)


def measure(context: RunContext, number: int, model: Path) -> Measurement:
    """Judge gold with a round's model and write ``gold.jsonl``."""
    gold = context.data.gold
    comparisons = [item.comparison for item in gold]
    readings = readings_of(context, number, model)
    title = f"round {number} · measure on {len(gold)} gold comparisons"
    view = deciding_view(context, number, model, readings)
    decisions = context.judge(title, model, comparisons, context.config.judge.gold, readings=readings, view=view)
    rows = [
        comparison_row(item.comparison) | decision_row(decision) | {"truth": item.label.value}
        for item, decision in zip(gold, decisions, strict=True)
    ]
    write_jsonl(context.folder.round(number) / "gold.jsonl", rows)
    accuracy = evaluate(gold, decisions, context.config.seed)
    metrics = GoldReport.from_accuracy(accuracy, _by_reading(gold, decisions))
    log.info("round %d: gold accuracy %s, coverage %s", number, percent(accuracy.accuracy), percent(accuracy.coverage))
    return Measurement(tuple(d.label for d in decisions), metrics, _faithfulness(context, model, gold, decisions))


def _by_reading(gold: Sequence[LabeledComparison], decisions: Sequence[Decision]) -> dict[str, float]:
    """The accuracy on gold of each reading by itself; abstentions count as wrong."""
    asked = {reading for decision in decisions for reading in decision.readings}
    pairs = list(zip(gold, decisions, strict=True))
    return {
        reading.value: fmean(r in d.readings and top_label(d.readings[r]) is item.label for item, d in pairs)
        for reading in sorted(asked)
        for r in [reading]
    }


def recorded(run: RunFolder, number: int, record: RoundRecord | None = None) -> Measurement:
    """The measurement of a finished round; a round that trained nothing repeats the metrics of the last judge.

    Args:
        record: the round's record, if it has been read already.
    """
    folder = run.round(number)
    record = record or RoundRecord.read(folder / "metrics.json")
    file = folder / "gold.jsonl"
    labels = [row["label"] for row in read_jsonl(file)] if file.exists() else []
    return Measurement(
        tuple(None if label is None else Label(label) for label in labels),
        record.gold,
        record.faithfulness or {},
    )


def _faithfulness(
    context: RunContext, model: Path, gold: Sequence[LabeledComparison], decisions: Sequence[Decision]
) -> dict[str, Probe]:
    count = context.config.guards.faithfulness
    if not count or context.template.mode is JudgeMode.LABEL:
        return {}
    backend = context.open(model)
    with context.observer.task(f"probe {min(count, len(decisions))} rationales") as progress:
        items = [(item.comparison, decision) for item, decision in zip(gold, decisions, strict=True)]
        probes = probe(backend, context.template, items[:count], [item.label for item in gold[:count]])
        progress(1, 1)
    if not probes:
        context.observer.note(
            "guards.faithfulness needs two rationales, and gold has fewer: set judge.verdict: both to have them written"
        )
    return probes
