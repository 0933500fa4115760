"""Protects a judge from its own labels: the gold gate, and alarms for what usually goes wrong first."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from gramr2.config.method import AlarmsConfig, GuardsConfig
from gramr2.config.training import TrainingConfig
from gramr2.evaluation.metrics import PairedTest
from gramr2.selftraining.run.records import Alarm, GateResult, GoldReport, LabellingRecord

MOST_LOSS = 0.6
"""loss of the direct verdict in nats, both orders together, on the judge's training data: hardly better than a guess. If a
quarter of the labels are wrong, a loss below 0.56 is only possible by memorising them"""


def gate(changes: Sequence[PairedTest], guards: GuardsConfig) -> GateResult:
    """Whether a judge replaces the current one: not if any of the tests on the same gold comparisons finds it worse.

    Args:
        changes: the judge against the current one, and against the seed judge.
    """
    if guards.on_worse == "accept":
        return GateResult.ACCEPTED
    return GateResult.ROLLED_BACK if any(_worse(change, guards) for change in changes) else GateResult.ACCEPTED


def _worse(change: PairedTest, guards: GuardsConfig) -> bool:
    significant = change.p_value < guards.alpha if guards.test == "mcnemar" else change.high < 0
    return change.difference < 0 and significant


def pool_alarms(labelling: LabellingRecord, reference_words: float | None, limits: AlarmsConfig) -> list[Alarm]:
    """Alarms about a round's pseudo-labels.

    Args:
        labelling: what the round's filters did.
        reference_words: mean number of words in the seed's rationales, or in the first round's.
    """
    alarms: list[Alarm] = []
    labels, pool = labelling.labels, labelling.pool
    if decided := sum(labels.values()):
        top = max(labels, key=lambda name: labels[name])
        share = labels[top] / decided
        if share > limits.max_label_share:
            message = f"label collapse: {share:.0%} of the pool's decisions say {top}"
            alarms.append(Alarm("label collapse", message, round(share, 4), limits.max_label_share))
    words = labelling.rationales.mean_words
    if words and reference_words:
        drift = max(words / reference_words, reference_words / words)
        if drift > limits.max_length_drift:
            message = f"rationale length drift: {words:.0f} words on average, {reference_words:.0f} in the reference"
            alarms.append(Alarm("length drift", message, round(drift, 4), limits.max_length_drift))
    left = pool.judged
    for name, count in pool.dropped.items():
        passed = (left - count) / left if left else 1.0
        if passed < limits.min_passed:
            message = f"the {name} filter drops {count} of {left} comparisons"
            alarms.append(Alarm("filter drops all", message, round(passed, 4), limits.min_passed))
        left -= count
    if pool.judged and pool.kept / pool.judged > limits.max_passed:
        message = f"the filters pass {pool.kept} of {pool.judged} comparisons"
        share = round(pool.kept / pool.judged, 4)
        alarms.append(Alarm("filters pass all", message, share, limits.max_passed))
    return alarms


def gold_alarms(before: GoldReport, after: GoldReport, limits: AlarmsConfig) -> list[Alarm]:
    """Alarms about a new judge compared with the last accepted one, both on gold."""
    if before.order_flip_rate is None or after.order_flip_rate is None:
        return []
    growth = after.order_flip_rate - before.order_flip_rate
    if growth <= limits.max_flip_growth:
        return []
    message = f"order flips grow from {before.order_flip_rate:.0%} to {after.order_flip_rate:.0%}"
    return [Alarm("order flips", message, round(growth, 4), limits.max_flip_growth)]


def training_alarms(model: Path, training: TrainingConfig) -> list[Alarm]:
    """Alarms about how well a model learnt, from the report next to its weights; none if the training could stop early, or if
    its targets are soft or smoothed."""
    file = model / "gramr2_training.json"
    report = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    loss = report.get("parts", {}).get("direct_verdict_loss")
    if (
        loss is None
        or loss <= MOST_LOSS
        or report.get("held_out")
        or training.verdict.smoothing
        or training.verdict.soft
    ):
        return []
    message = (
        f"the judge has not learnt its labels: after {report.get('steps')} steps on {report.get('examples')} comparisons its "
        f"verdict loss on them is {loss:.2f} nats, and a guess between two labels has {math.log(2):.2f}; train it for more "
        "steps, or at another learning rate"
    )
    return [Alarm("labels not learnt", message, round(loss, 4), MOST_LOSS)]
