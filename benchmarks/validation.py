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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from plans import exit_code, jobs_for

from gramr2.ablation.runner import Outcome, Plan, run_plan
from gramr2.ablation.statistics import Mean, summarise
from gramr2.ablation.variants import SEED_ONLY, variants_for
from gramr2.backends.hardware import versions
from gramr2.cli.ablate import refuse_leaks
from gramr2.cli.console import Bars
from gramr2.config import RunConfig, load_config, parse_config
from gramr2.config.data import SourceConfig
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.judging.records import labeled_row, read_jsonl, write_jsonl
from gramr2.selftraining.folder import write_text
from gramr2.selftraining.sources import read_labeled

TRAINED_ON = 0.7
"""of the seed's stretch"""
SWAPPED = {"A": "B", "B": "A", "tie": "tie"}
"""a kept row may show its responses in the other order than the source"""
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
    refuse_leaks(config, str(test))
    plan = Plan(config, [known[name] for name in names], range(1, given.seeds + 1), str(test), given.limit)

    truth = {
        item.comparison.id: item.label.value
        for each in config.data.seed
        for item in read_labeled(each.model_copy(update={"limit": None}), policy)[0]
    }

    def write(outcome: Outcome) -> str:
        text = table(outcome, given.reference, given.set, lambda name: right_of_kept(given.out, name, truth))
        write_text(given.out / "table.md", text)
        return text

    outcome = run_plan(plan, given.out, jobs_for(config, given.jobs), Bars(), write)
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


def right_of_kept(out: Path, variant: str, truth: Mapping[str, str]) -> float | None:
    """Share of right pseudo-labels among those that rounds kept and people labelled A or B; None if there is none."""
    kept = (read_jsonl(file) for file in sorted(out.glob(f"cells/{variant}-*/run/rounds/*/kept.jsonl")))
    right = [
        (SWAPPED[row["label"]] if row["swapped"] else row["label"]) == truth[row["id"]]
        for rows in kept
        for row in rows
        if truth.get(row["id"]) in ("A", "B")
    ]
    return fmean(right) if right else None


def table(outcome: Outcome, reference: str, changes: Sequence[str], right: Callable[[str], float | None]) -> str:
    """A line a variant: accuracy and order flips, means over draws, and the difference to the reference."""
    rows = ["| variant | draws | accuracy | difference | order flips | kept | right of kept |", "|---|" + "---:|" * 6]
    for each in summarise(outcome.results, reference):
        flips, kept_right = _percent(each.flips), _percent(right(each.variant))
        kept = "–" if each.kept is None else f"{each.kept:.0f}"
        cells = [each.variant, str(each.accuracy.n), _percent(each.accuracy.value), _points(each.difference)]
        rows.append(f"| {' | '.join([*cells, flips, kept, kept_right])} |")
    rows += [f"{name}: no result, {reason}" for name, reason in (outcome.skipped | outcome.failures).items()]
    n = outcome.results[0]["n"] if outcome.results else 0
    told = f"n = {n} validation comparisons a draw; set: {' '.join(changes) or 'nothing'}. {versions()}."
    return "\n".join([*rows, "", told, ""])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _points(difference: Mean | None) -> str:
    if difference is None:
        return "–"
    interval = (
        "" if difference.low is None else f" ({100 * difference.low:+.1f} to {100 * (difference.high or 0):+.1f})"
    )
    return f"{100 * difference.value:+.1f}{interval}"


if __name__ == "__main__":
    sys.exit(main())
