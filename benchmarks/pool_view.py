"""Can a view on frozen features learn from unlabelled comparisons? Candidates beside the one that is used, on validation.

    python benchmarks/pool_view.py SEED.jsonl POOL.jsonl --features DIR --labels 64 --csv FILE [--only GROUPS] [--limit N]

DIR is what ``pool_features.py`` made of the same files. The prompts of the seed are cut into two halves, one to choose a
candidate on and one to confirm it. A draw takes labels from the prompts of one part of a half and tests on the other part;
the rest of the seed, without its labels and without the prompts of the test, and the pool are unlabelled. Every accuracy is
over decided comparisons and a mean over draws; a difference is to ``base``, the product's second view, with a 95 % bootstrap
interval over draws and prompts. Nothing here is held out for publication: ``eval/`` is no argument.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pool_candidates import BASE, candidates
from pool_learners import Draw
from pool_source import Source, halves

from gramr2.backends.hardware import versions
from gramr2.data import load_labeled, load_unlabeled, subset

RESAMPLES = 2000
COLUMNS = ("source", "labels", "half", "group", "candidate", "accuracy", "difference", "low", "high", "draws", "n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each candidate and half, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed")
    parser.add_argument("pool")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=64)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--half", action="append", choices=("choose", "confirm", "both"), help="default: the first two")
    parser.add_argument("--only", help="groups of candidates, with commas")
    parser.add_argument("--candidate", action="append", help="by name, beside base; default: all of the groups")
    parser.add_argument("--limit", type=int, help="N comparisons of each file, drawn")
    parser.add_argument("--csv", type=Path, required=True)
    given = parser.parse_args(arguments)
    labeled, pool = load_labeled(given.seed)[0], load_unlabeled(given.pool)[0]
    if given.limit:
        labeled = subset(labeled, given.limit, 0, key=lambda item: item.comparison.id)
        pool = subset(pool, given.limit, 0, key=lambda each: each.id)
    source = Source(labeled, pool, given.features)
    with given.csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for half in given.half or ["choose", "confirm"]:
            draws = drawn(source, half, given.draws, given.labels)
            right: dict[str, np.ndarray] = {}
            for each in candidates(source, given.only.split(",") if given.only else None):
                if each.name != BASE and given.candidate and each.name not in given.candidate:
                    continue
                right[each.name] = np.stack([marks(source, draw, each.margins(draw)) for draw in draws])
                mean, low, high = two_way(right[each.name] - right[BASE], source.groups)
                row = {
                    "source": Path(given.seed).stem,
                    "labels": given.labels,
                    "half": half,
                    "group": each.group,
                    "candidate": each.name,
                    "accuracy": f"{100 * float(np.nanmean(right[each.name])):.1f}",
                    **{k: f"{100 * v:.2f}" for k, v in (("difference", mean), ("low", low), ("high", high))},
                    "draws": len(draws),
                    "n": int((~np.isnan(right[each.name])).any(axis=0).sum()),
                }
                writer.writerow(row)
                file.flush()
                print(*row.values(), flush=True)
    print(versions())


def drawn(source: Source, half: str, count: int, labels: int) -> list[Draw]:
    """Draws of labels from one part of a half's prompts; each pair of draws exchanges the two parts."""
    parts = halves(source.groups)
    inside = parts["choose"] | parts["confirm"] if half == "both" else parts[half]
    address = ("choose", "confirm", "both").index(half) + 1
    groups = np.array(source.groups)
    draws = []
    for number in range(count):
        first = set(part_of(groups, sorted(inside), np.random.default_rng(1000 * address + number // 2)))
        learnt = inside - first if number % 2 else first
        own = np.flatnonzero(np.isin(groups, sorted(learnt)))
        test = np.flatnonzero(np.isin(groups, sorted(inside - learnt)) & (source.signs != 0))
        rng = np.random.default_rng(77 + 1000 * address + number)
        chosen = rng.choice(own, min(labels, len(own)), replace=False)
        rest = np.flatnonzero(~np.isin(groups, sorted(inside - learnt)))
        pool = np.arange(source.labeled, source.size)
        draws.append(Draw(source, chosen, test, np.concatenate([np.setdiff1d(rest, chosen), pool]), number))
    return draws


def part_of(groups: np.ndarray, names: list[str], rng: np.random.Generator) -> list[str]:
    """Groups in random order until they hold half of the comparisons of all ``names``."""
    names = [names[i] for i in rng.permutation(len(names))]
    sizes = [int((groups == name).sum()) for name in names]
    taken = np.cumsum([0, *sizes[:-1]]) < sum(sizes) / 2
    return [name for name, take in zip(names, taken, strict=True) if take]


def marks(source: Source, draw: Draw, margins: np.ndarray) -> np.ndarray:
    """1 where a tested comparison is right, a half where the margin is 0, NaN where none is tested; shape (labelled,)."""
    found = np.full(source.labeled, np.nan)
    found[draw.test] = (np.sign(margins) == source.signs[draw.test]) + 0.5 * (margins == 0)
    return found


def two_way(values: np.ndarray, groups: Sequence[str]) -> tuple[float, float, float]:
    """Mean and 95 % interval of values of shape (draws, comparisons), NaN where there is none; draws and groups resampled."""
    names, at = np.unique(np.array(groups), return_inverse=True)
    total, count = np.zeros((len(values), len(names))), np.zeros((len(values), len(names)))
    for draw, row in enumerate(values):
        there = ~np.isnan(row)
        np.add.at(total[draw], at[there], row[there])
        np.add.at(count[draw], at[there], 1)
    rng, means = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        draws = np.bincount(rng.integers(0, len(values), len(values)), minlength=len(values))
        prompts = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
        means.append(float((draws @ total @ prompts) / max(draws @ count @ prompts, 1)))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.nanmean(values)), float(low), float(high)


if __name__ == "__main__":
    main()
