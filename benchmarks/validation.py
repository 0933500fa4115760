"""A run's settings, tried on people's labels that no test set holds.

    python benchmarks/validation.py examples/ablation-truthfulqa.yaml --seeds 3 --set training.method=full --set rounds=2 \\
        --variants longer,bag-of-words,frozen-features,seed-only,full,oracle --out runs/validation/full

The last 30 % of the seed's stretch of prompts are measured on; the seed and every source of the pool keep to the prompts of the
first 70 %. Each variant with each seed is a cell of an ablation in --out, which goes on where it was stopped. --set changes the
run file at a dotted key, in YAML. For choosing settings, never for a figure to publish: what was chosen on is not a test.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from plans import exit_code

from gramr2.cli.ablate import refuse_seen
from gramr2.cli.console import Bars
from gramr2.comparison import Label
from gramr2.config import RunConfig, load_config, parse_config
from gramr2.config.data import SourceConfig
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.files import read_jsonl, write_jsonl, write_text
from gramr2.judging.records import labeled_row
from gramr2.research.ablation.runner import AblationOutcome, AblationPlan, default_jobs, run_plan
from gramr2.research.ablation.statistics import summarise
from gramr2.research.ablation.tables import account, markdown
from gramr2.research.ablation.variants import SEED_ONLY, variants_for
from gramr2.selftraining.run.sources import read_labeled

TRAINED_ON = 0.7
"""of the seed's stretch"""
VARIANTS = "longer,bag-of-words,frozen-features,seed-only,full,oracle"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run file of the domain")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as training.epochs=2")
    parser.add_argument("--seeds", type=int, default=1, help="draws of the labels, 1 to N")
    parser.add_argument("--variants", default=VARIANTS, help="with commas between")
    parser.add_argument("--reference", default=SEED_ONLY, help="variant that the differences are to")
    parser.add_argument("--limit", type=int, help="comparisons to measure on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, help="cells at once; default: what cores and memory allow")
    given = parser.parse_args(arguments)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    base = changed(load_config(given.run), given.set)
    config, measured = divided(base)
    known = {each.name: each for each in variants_for(config)}
    names = given.variants.split(",")
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--variants {unknown[0]!r} is not known: take some of {', '.join(known)}")
    given.out.mkdir(parents=True, exist_ok=True)
    test = given.out / "validation.jsonl"
    policy = OnBadRow(base.data.on_bad_row)
    write_jsonl(test, [labeled_row(item) for each in measured for item in read_labeled(each, policy)[0]])
    refuse_seen(config, str(test))
    plan = AblationPlan(config, [known[name] for name in names], range(1, given.seeds + 1), str(test), given.limit)

    truth = {
        item.comparison.id: item.label
        for each in config.data.seed
        for item in read_labeled(each.model_copy(update={"limit": None}), policy)[0]
    }

    def write(outcome: AblationOutcome) -> str:
        summaries = [
            replace(each, label_accuracy=right_of_kept(given.out, each.variant, truth))
            for each in summarise(outcome.results, given.reference)
        ]
        notes = [f"{name}: no result, {reason}" for name, reason in (outcome.skipped | outcome.failures).items()]
        told = account(
            f"{given.run} on validation prompts, set: {' '.join(given.set) or 'nothing'}",
            summaries,
            plan.variants,
            outcome.results,
            notes,
            f"benchmarks/validation.py {given.run}",
            given.reference,
        )
        text = markdown(told)
        write_text(given.out / "table.md", text)
        return text

    outcome = run_plan(plan, given.out, given.jobs or default_jobs(config), Bars(), write)
    print(write(outcome))
    return 1 if outcome.failures else 0


def changed(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """The config with other values at dotted keys.

    Raises:
        ConfigError: a change has no ``=``, no such key, or makes an impossible config.
    """
    raw = config.model_dump(mode="json")
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change!r} has no value: write KEY=VALUE")
        place: Any = raw
        *path, last = key.split(".")
        for name in path:
            if isinstance(place.get(name), list):
                raise ConfigError(f"--set {change!r}: {name} is a list, give the whole of it as YAML")
            place[name] = place.get(name) or {}
            place = place[name]
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {change!r}: {value!r} is not YAML") from error
    return parse_config(raw, f"--set {' '.join(changes)}")


def divided(config: RunConfig) -> tuple[RunConfig, list[SourceConfig]]:
    """The run on the first prompts of its seed's stretch, and the sources of what is measured: the others.

    Raises:
        ConfigError: the seed's sources have different stretches, so that one's last prompts may be another's first.
    """
    stretches = {source.part or (0.0, 1.0) for source in config.data.seed}
    if len(stretches) > 1:
        raise ConfigError(f"the seed's sources have different parts ({sorted(stretches)}): give them the same one")
    start, end = stretches.pop()
    cut = start + TRAINED_ON * (end - start)
    measured = [source.model_copy(update={"part": (cut, end), "limit": None}) for source in config.data.seed]

    def kept(sources: Sequence[SourceConfig]) -> list[SourceConfig]:
        parts = [(source, *(source.part or (0.0, 1.0))) for source in sources]
        return [each.model_copy(update={"part": (low, min(high, cut))}) for each, low, high in parts if low < cut]

    data = config.data
    update = {"seed": kept(data.seed), "pool": kept(data.pool)}
    return config.model_copy(update={"data": data.model_copy(update=update)}), measured


def right_of_kept(out: Path, variant: str, truth: Mapping[str, Label]) -> float | None:
    """Share of right pseudo-labels among those that rounds kept and people labelled A or B; None if there is none."""
    kept = (read_jsonl(file) for file in sorted(out.glob(f"cells/{variant}-*/run/rounds/*/kept.jsonl")))
    # A kept row may show its responses in the other order than the source.
    right = [
        (label.swap() if row["swapped"] else label) is truth[row["id"]]
        for rows in kept
        for row in rows
        if truth.get(row["id"], Label.TIE) is not Label.TIE
        for label in [Label(row["label"])]
    ]
    return fmean(right) if right else None


if __name__ == "__main__":
    sys.exit(main())
