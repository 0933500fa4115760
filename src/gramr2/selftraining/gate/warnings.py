"""Warnings about the results of a finished run, from its final judge, its baselines and the size of its gold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gramr2.evaluation.metrics import PairedTest, paired_test
from gramr2.evaluation.power import comparisons_for
from gramr2.selftraining.gate.baselines import Measured
from gramr2.selftraining.gate.guards import training_alarms
from gramr2.selftraining.gate.measurement import Measurement, recorded
from gramr2.selftraining.run.context import RunContext
from gramr2.text import p_value, percent

EFFECT = 0.05
"""a difference in accuracy that gold should be large enough to detect"""
MOST_FLIPS = 0.5


def conclusion(
    context: RunContext, model: Path, baselines: Mapping[str, Measured], gold: Measurement
) -> tuple[dict[str, PairedTest], list[str]]:
    """What is added to the last record of a run: the final judge, in ``model``, against each baseline, and the warnings."""
    items, seed = context.data.gold, context.config.seed
    tests = {name: paired_test(items, each.labels, gold.labels, seed) for name, each in baselines.items()}
    first = recorded(context.folder, 0).labels
    since_seed = paired_test(items, first, gold.labels, seed) if first and first != gold.labels else None
    found = training_alarms(model, context.config.training)
    warnings = [f"In the end {alarm.message}." for alarm in found]
    warnings += warnings_of(tests, len(items), gold.metrics.order_flip_rate, context.config.guards.alpha, since_seed)
    return tests, warnings


def warnings_of(
    tests: Mapping[str, PairedTest],
    n: int,
    flips: float | None,
    alpha: float = 0.05,
    since_seed: PairedTest | None = None,
) -> list[str]:
    """One sentence for each thing that a reader of the results must know.

    Args:
        tests: each baseline (before) against the final judge (after) on gold.
        n: gold comparisons.
        flips: share of gold on which the final judge's two orders disagree; None if it saw only one.
        alpha: significance level of the test.
        since_seed: the seed judge against the final one, if they differ.
    """
    found = []
    if tests:
        best = min(tests, key=lambda name: tests[name].difference)
        # The more often two judges agree, the fewer comparisons a test needs: gold is held to the easier of the two tests.
        rivals = {f"the baseline {best}": tests[best]} | ({"the seed judge": since_seed} if since_seed else {})
        nearest = min(rivals, key=lambda name: needed(rivals[name], n))
        found += [each for each in (_not_better(best, tests[best], alpha), _small(nearest, rivals[nearest], n)) if each]
    if flips is not None and flips > MOST_FLIPS:
        found.append(
            f"The final judge changes its verdict on {percent(flips)} of gold when the responses are swapped: give it more "
            "labels, both orders (training.orders: both) or a larger backbone before you rely on its verdicts."
        )
    return found


def needed(test: PairedTest, n: int) -> int:
    """Number of gold comparisons that a paired test needs to detect a difference of five points between these two."""
    return comparisons_for(EFFECT, (test.only_before + test.only_after) / n)


def _not_better(name: str, test: PairedTest, alpha: float) -> str | None:
    significant = test.p_value < alpha
    if significant and test.difference > 0:
        return None
    numbers = (
        f"{100 * test.difference:+.1f} points, 95 % interval {100 * test.low:+.1f} to {100 * test.high:+.1f}, "
        f"{p_value(test.p_value)}"
    )
    verdict = "significantly worse on gold than" if significant else "not significantly better on gold than"
    return (
        f"The final judge is {verdict} the baseline {name} ({numbers}): use that baseline, or give the run more labels or a "
        "better backbone."
    )


def _small(name: str, test: PairedTest, n: int) -> str | None:
    wanted = needed(test, n)
    if n >= wanted:
        return None
    share = percent((test.only_before + test.only_after) / n)
    return (
        f"Gold is too small to detect a difference of five points: exactly one of the final judge and {name} is right on {share} "
        f"of it, so a paired test needs about {wanted} comparisons and has {n}: add gold, or treat such differences as noise."
    )
