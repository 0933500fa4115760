"""How well ``gramr2 check --cost`` predicts: a run is priced, done, and compared with its price, stage by stage.

    python benchmarks/cost_prediction.py examples/tiny.yaml --out runs/cost/tiny [--csv docs/cost-prediction.csv]

Prints a table and appends its rows to the CSV: tokens of prompts, tokens written and trained on, and seconds, as predicted before
the run and as they were. ``hindsight`` are the seconds predicted with the share of comparisons that the run really kept. With
``--cpu`` seconds are those of the processor, which other programs lengthen less.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gramr2.backends.hardware import versions
from gramr2.config import RunConfig, load_config
from gramr2.judging.judge import Progress
from gramr2.selftraining.cost.estimate import Estimate, priced
from gramr2.selftraining.cost.parts import Assumptions
from gramr2.selftraining.cost.plan import plan
from gramr2.selftraining.cost.price import cost_of, sizes_for
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.data import load_data
from gramr2.selftraining.run.folder import RunFolder
from gramr2.text import counted

TOKENS = ("prompt_tokens", "generated_tokens", "trained_tokens")
COLUMNS = ("run", "stage", *(f"{kind}_{when}" for kind in TOKENS for when in ("predicted", "actual")))
COLUMNS += ("seconds_predicted", "seconds_hindsight", "seconds_actual", "ratio", "versions")


@dataclass
class Watch:
    """An observer that writes down how long stages take and what each leaves in the journal."""

    journal: Path
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    tokens: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    @contextmanager
    def task(self, title: str) -> Iterator[Progress]:
        """Clock a stage."""
        name, begun, at = stage_of(title), self.clock(), self._size()
        yield lambda done, total: None
        self.seconds[name] += self.clock() - begun
        for record in self._records(at):
            self.tokens[name]["prompt_tokens"] += record.get("prompt_tokens", 0)
            self.tokens[name]["generated_tokens"] += record.get("completion_tokens", 0)

    def note(self, text: str) -> None:
        """Discard the note."""

    def _size(self) -> int:
        return self.journal.stat().st_size if self.journal.exists() else 0

    def _records(self, at: int) -> Iterator[dict[str, Any]]:
        if self.journal.exists():
            with self.journal.open("rb") as file:
                file.seek(at)
                for line in file.read().splitlines():
                    if line.strip():
                        yield json.loads(line)


def stage_of(title: str) -> str:
    """A stage's title without its round and its numbers, so that a plan and a run name it alike."""
    return re.sub(r"\d+", "N", re.sub(r"^round \d+ · ", "", title))


def trained_tokens(folder: Path, config: RunConfig) -> float:
    """Tokens of all passes of all trainings of a finished run."""
    found = 0.0
    for file in folder.glob("rounds/*/model/gramr2_training.json"):
        report = json.loads(file.read_text(encoding="utf-8"))
        whole = -(-report["examples"] // config.training.batch_size)
        found += (report["prompt_tokens"] + report["completion_tokens"]) * report["steps"] / whole
    return found


def predicted(found: Estimate) -> dict[str, dict[str, float]]:
    """Tokens and seconds by stage, rounds added up. Prompts count once for every vote, as in the journal."""
    rows: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for each in found.expected:
        row = rows[stage_of(each.stage.name)]
        row["seconds"] += each.seconds or 0.0
        row["prompt_tokens"] += sum(a.prompt_tokens * a.votes for a in each.stage.asked if a.journaled)
        row["generated_tokens"] += each.stage.generated_tokens
        row["trained_tokens"] += each.stage.trained_tokens
    return rows


def compared(
    name: str, before: Mapping[str, Mapping[str, float]], after: Mapping[str, float], watch: Watch
) -> list[dict[str, Any]]:
    """A row for each stage that was predicted or happened, and their sum."""
    rows = []
    for stage in [*before, *(each for each in watch.seconds if each not in before)]:
        told, done = before.get(stage, {}), watch.tokens.get(stage, {})
        row: dict[str, Any] = {"run": name, "stage": stage}
        for kind in TOKENS:
            row |= {f"{kind}_predicted": round(told.get(kind, 0)), f"{kind}_actual": round(done.get(kind, 0))}
        row |= {"seconds_predicted": told.get("seconds", 0.0), "seconds_hindsight": after.get(stage, 0.0)}
        rows.append(row | {"seconds_actual": watch.seconds.get(stage, 0.0)})
    numbers = [key for key in rows[0] if key not in ("run", "stage")]
    rows.append({"run": name, "stage": "all", **{key: sum(row[key] for row in rows) for key in numbers}})
    for row in rows:
        row["ratio"] = row["seconds_predicted"] / row["seconds_actual"] if row["seconds_actual"] else None
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a new run folder")
    parser.add_argument("--cpu", action="store_true", help="processor seconds, on a machine that does other work too")
    parser.add_argument("--csv", type=Path, help="append the rows to this file")
    given = parser.parse_args(arguments)
    config = load_config(given.run)
    clock = time.process_time if given.cpu else time.monotonic
    found = cost_of(config, load_data(config), clock=clock)
    folder = RunFolder(given.out)
    watch = Watch(folder.journal, clock)
    records = SelfTraining(config, given.out, observer=watch).run()
    judged, kept = (sum(getattr(each.pool, name) for each in records) for name in ("judged", "kept"))
    after: dict[str, float] = defaultdict(float)
    if judged:
        stages = plan(config, sizes_for(config, load_data(config)), Assumptions(kept=kept / judged))
        for each in priced(config, stages, None, found.rates):
            after[stage_of(each.stage.name)] += each.seconds or 0.0
    rows = compared(given.run.stem, predicted(found), after, watch)
    rows[-1]["trained_tokens_actual"] = round(trained_tokens(given.out, config))
    share = f"{kept} of {judged} kept" if judged else "no round"
    probe = found.rates.seconds if found.rates else 0.0
    print(f"{given.run.stem}: seed {config.seed}, {share}, probe {probe:.0f} s, {versions()}")
    disk = sum(each.stat().st_size for each in given.out.rglob("*") if each.is_file() and "judge" not in each.parts)
    print(f"disk: {counted(found.total()['disk_bytes'])}B predicted, {counted(disk)}B written")
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"memory: {counted(found.memory['peak'])}B predicted beside the libraries, {counted(peak)}B at most in all")
    for row in rows:
        tokens = "  ".join(f"{row[f'{kind}_predicted']:>9,} {row[f'{kind}_actual']:>9,}" for kind in TOKENS)
        seconds = " ".join(f"{row[f'seconds_{when}']:7.1f}" for when in ("predicted", "hindsight", "actual"))
        ratio = "" if row["ratio"] is None else f"{row['ratio']:6.2f}"
        print(f"{row['stage'][:58]:58}  {tokens}  {seconds} {ratio}")
    if given.csv:
        new = not given.csv.exists()
        with given.csv.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            for row in rows:
                shown = {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
                writer.writerow(shown | {"versions": versions()})


if __name__ == "__main__":
    main()
