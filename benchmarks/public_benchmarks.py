"""Judges on public benchmarks: one table of official scores with intervals, beside our columns.

    python benchmarks/public_benchmarks.py --from ../shared/data/benchmarks --out runs/benchmarks [--csv docs/benchmarks.csv]
        [--judge scripted:longer --judge "smollm2-135m --verdict direct" …] [--benchmark hhh …] [--limit N]

``accuracy`` counts a tie as wrong where one response is better; ``without_ties`` takes the likelier response in its place.

A judge is what ``gramr2 eval -m`` takes, with further flags behind it; ``seed judge=RUN/rounds/0/model`` names it in the table.
Every pair of a judge and a benchmark is an evaluation's
folder, so that the same command goes on after a stop. A benchmark is read from the file of its name below --from.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gramr2.evaluation.log import read_log
from gramr2.evaluation.without_ties import accuracy_without_ties

JUDGES = ("scripted:always-a", "scripted:random", "scripted:longer")
COLUMNS = (
    "benchmark",
    "judge",
    "items",
    "policy",
    "official",
    "official_low",
    "official_high",
    "accuracy",
    "low",
    "high",
    "tie_rate",
    "without_ties",
    "without_ties_low",
    "without_ties_high",
    "coverage",
    "order_flip_rate",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "seed",
    "digest",
    "versions",
)


def main() -> None:
    """Write the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder of local copies")
    parser.add_argument("--out", type=Path, required=True, help="folder of the evaluations")
    parser.add_argument("--csv", type=Path, help="default: table.csv in --out")
    parser.add_argument("--judge", action="append", help="with its flags")
    parser.add_argument("--benchmark", action="append", help="default: all that have a copy")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    judges = options.judge or JUDGES
    if len({parted(each)[0] for each in judges}) < len(judges):
        parser.error("two judges have the same name")
    rows = [row(judge, name, options) for name in options.benchmark or present(options.source) for judge in judges]
    target = options.csv or options.out / "table.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(target)


def present(source: Path) -> list[str]:
    """The benchmarks that have a copy in the folder."""
    from gramr2.evaluation.benchmarks import benchmarks

    return [name for name in benchmarks() if (source / f"{name}.jsonl").is_file()]


def parted(judge: str) -> tuple[str, str]:
    """The judge's name in the table, and its model with flags; an address and a flag may have a = too."""
    name, there, call = judge.partition("=")
    named = there and not {":", "/"} & {*name} and " --" not in name
    return (name, call) if named else (judge, judge)


def row(judge: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One evaluation."""
    called, call = parted(judge)
    model, *flags = call.split()
    folder = options.out / f"{name}-{called.replace(' ', '').replace(':', '-')}-{options.limit or 'all'}-{options.seed}"
    limit = ["--limit", str(options.limit)] if options.limit else []
    words = ["eval", "-m", model, *flags, "-b", name, "--from", str(options.source / f"{name}.jsonl"), *limit]
    words += ["--seed", str(options.seed), "--out", str(folder), "--json"]
    command = [sys.executable, "-c", "from gramr2.cli.main import run; run()", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told, log = json.loads(done.stdout), read_log(folder)
    summary = log.summary
    values = {
        key: getattr(summary, key) for key in ("prompt_tokens", "completion_tokens", "seconds", "seed", "versions")
    }
    found = {key: told[key] for key in COLUMNS if key in told} | values
    found |= {"judge": called, "official": told["official"]["overall"], "tie_rate": summary.result["tie_rate"]}
    # From the items: an evaluation by an earlier version did not keep this.
    forced = accuracy_without_ties(log.items)
    found |= {"without_ties": forced.accuracy, "without_ties_low": forced.low, "without_ties_high": forced.high}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


if __name__ == "__main__":
    main()
