"""Adapting to a task that nobody trained on, in the lab: the self-trained judge, the pretrained model, and a scalar model.

    python benchmarks/adapting.py --judge runs/lab --out runs/adapting [--sizes 16,64,256] [--seeds 3] [--test 300]

The task is “mirror”, numbers written backwards. From the same labelled comparisons learn: the lab's judge (``gramr2 adapt``),
the judge while it replays as many comparisons that it labelled itself in its last round (``judge+replay``), the tiny pretrained
model in the same way, and a Bradley-Terry model on the pretrained model. Accuracy is on lab:test@mirror; the
judge's accuracy on lab:test before and after says what the new task cost. Goes on where it was stopped; writes adapting.csv
and adapting.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from gramr2.adaptation.adapt import Adaptation
from gramr2.adaptation.task import OnRegression, Task
from gramr2.backends.hardware import versions
from gramr2.backends.registry import fingerprint, former_id, resolve
from gramr2.config import load_config
from gramr2.config.training import ModelConfig
from gramr2.data import load_labeled, load_unlabeled, subset
from gramr2.errors import RunError
from gramr2.evaluation.metrics import evaluate
from gramr2.files import write_json, write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.randomness import derive_seed
from gramr2.research.ablation.statistics import mean
from gramr2.research.lab.run import run_file
from gramr2.training.bradley_terry import train_reward_model

STARTS = ("judge", "judge+replay", "pretrained", "bradley-terry")
TRAINING = load_config(run_file()).training
"""the lab's, so that all differ by what they start from alone"""


def main() -> None:
    """Run what is missing, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="16,64,256")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", type=int, default=300)
    options = parser.parse_args()
    sizes = [int(each) for each in options.sizes.split(",")]
    options.out.mkdir(parents=True, exist_ok=True)
    files = {name: options.out / f"{name}.jsonl" for name in ("test", "general")}
    for file, source in zip(files.values(), ("lab:test@mirror", "lab:test"), strict=True):
        items = subset(load_labeled(source)[0], options.test, 0, key=lambda item: item.comparison.id)
        write_jsonl(file, map(labeled_row, items))
    rows: list[dict[str, Any]] = []
    for seed in range(1, options.seeds + 1):
        for size in sizes:
            data = options.out / f"train-{size}-{seed}.jsonl"
            drawn = subset(load_labeled("lab:labeled@mirror")[0], size, seed, key=lambda item: item.comparison.id)
            write_jsonl(data, map(labeled_row, drawn))
            for start in STARTS:
                folder = options.out / f"{start}-{size}-{seed}"
                row = {"start": start, "labels": size, "seed": seed}
                rows.append(row | cell(start, folder, data, files, options.judge, seed))
                print(rows[-1], flush=True)
    write(rows, options.out)


def cell(start: str, folder: Path, data: Path, files: dict[str, Path], judge: str, seed: int) -> dict[str, Any]:
    """One training and its accuracy; read back where it is done."""
    done = folder / "cell.json"
    options = {"judge": fingerprint(resolve(judge)), "test": digest(files["test"]), "data": digest(data)}
    if done.is_file():
        known = json.loads(done.read_text(encoding="utf-8"))
        # An earlier version had other ids of models.
        if known["options"] not in (options, options | {"judge": former_id(options["judge"])}):
            raise RunError(f"{folder} was made with another judge or test set: give a new folder with --out")
        return dict(known["found"])
    if start == "bradley-terry":
        found = scalar(folder, data, files["test"], seed)
    else:
        adapted = start != "pretrained"
        task = Task(
            judge if adapted else "lab-tiny", str(data), test=str(files["test"]),
            general=str(files["general"]) if adapted else None, training=TRAINING, max_new_tokens=160,
            replay=str(own_labels(judge)) if start == "judge+replay" else None,
            on_regression=OnRegression.WARN, seed=seed,
        )  # fmt: skip
        result = Adaptation(task, folder).run()
        before, after, general = result["points"][0], result["points"][-1], result["general"]
        found = {
            "n": after["n"], "before": before["accuracy_strict"], "accuracy": after["accuracy_strict"],
            "general_before": general and general["before"]["accuracy"] * general["before"]["coverage"],
            "general_after": general and general["after"]["accuracy"] * general["after"]["coverage"],
        }  # fmt: skip
    write_json(done, {"options": options, "found": found})
    return found


def own_labels(run: str) -> Path:
    """What the run's last round kept of its own labels."""
    files = sorted(Path(run).glob("rounds/*/kept.jsonl"), key=lambda file: int(file.parent.name))
    if not files:
        raise RunError(f"{run} is not a run folder with labels of its own: give one with --judge")
    return files[-1]


def digest(file: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def scalar(folder: Path, data: Path, test: Path, seed: int) -> dict[str, Any]:
    """A Bradley-Terry model from the same labels; ties by a margin on unlabelled comparisons, as in the ablation."""
    items, pool = load_labeled(str(test))[0], load_unlabeled("lab:unlabeled@mirror", limit=300)[0]
    labeled = load_labeled(str(data))[0]
    model = train_reward_model(
        resolve("lab-tiny"), folder / "scratch", labeled, TRAINING, ModelConfig(name="lab-tiny"),
        seed=derive_seed(seed, "train", "bradley-terry"),
    )  # fmt: skip
    model.tie_share(pool, sum(item.label == "tie" for item in labeled) / len(labeled))
    accuracy = evaluate(items, model.decide([item.comparison for item in items]))
    return {
        "n": len(items),
        "before": None,
        "accuracy": accuracy.accuracy_strict,
        "general_before": None,
        "general_after": None,
    }


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """``adapting.csv`` has a row a training, ``adapting.md`` a mean with its 95 % t interval over seeds."""
    with (out / "adapting.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| starts from | labels | accuracy | lab:test before → after |", "|---|---|---|---|"]
    for start in STARTS:
        for size in sorted({row["labels"] for row in rows}):
            cells = [row for row in rows if (row["start"], row["labels"]) == (start, size)]
            value = mean([row["accuracy"] for row in cells], 0, 1)
            bounds = (
                "" if value.low is None or value.high is None else f" ({100 * value.low:.1f} to {100 * value.high:.1f})"
            )
            kept = [(row["general_before"], row["general_after"]) for row in cells if row["general_after"] is not None]
            general = " → ".join(f"{100 * mean(side).value:.1f} %" for side in zip(*kept, strict=True)) if kept else "–"
            lines.append(f"| {start} | {size} | {100 * value.value:.1f} %{bounds} | {general} |")
    text = "\n".join([*lines, "", f"n = {rows[0]['n']}, {versions()}", ""])
    (out / "adapting.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
