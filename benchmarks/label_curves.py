"""Accuracy against the number of labels, and of unlabelled comparisons, on a run file's domain.

    python benchmarks/label_curves.py examples/ablation-truthfulqa.yaml --test ../shared/data/eval/truthfulqa.jsonl \\
        --seeds 3 --out runs/curves

Every point is a cell of an ablation, the run with other limits on its data, in a process of its own. Finished cells are not run
again, and what the options ask for is what is run: the cheap variants first (--variants longer,bag-of-words), the others
later with the same --out. label_curves.csv and label_curves.svg hold all that is finished there, also while cells are running.
An --out that is an ablation of the same file and test lends its cells to the points at the file's own sizes (“own”).

Labels are drawn from the seed's sources in proportion to what they have. Unlabelled comparisons are counted without those
among the labels; along the labels their number stays what the run as written has, in every source where so many are left. At 0
unlabelled stands the seed judge. Intervals are 95 %, over seeds and test comparisons together where there are several seeds.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curve_points import Curve, Point, Points
from plans import exit_code

from gramr2.backends.hardware import versions
from gramr2.cli.ablate import refuse_seen
from gramr2.cli.console import Bars
from gramr2.config import load_config
from gramr2.files import write_text
from gramr2.reporting import plots
from gramr2.research.ablation.cell import RESULT, SPEC, TEST
from gramr2.research.ablation.marks import MARKS, read_marks, singly
from gramr2.research.ablation.runner import AblationPlan, default_jobs, run_plan
from gramr2.research.ablation.statistics import summarise
from gramr2.research.ablation.variants import FULL, SEED_ONLY

VARIANTS = ("longer", "bag-of-words", "frozen-features", SEED_ONLY, FULL)
COLUMNS = ("curve", "x", "variant", "seed", "n", "accuracy", "order_flip_rate", "labels", "unlabelled")
AXES = {Curve.LABELS: "labelled comparisons", Curve.UNLABELLED: "unlabelled comparisons, with {} labels"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and write the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run file of the domain")
    parser.add_argument("--test", required=True, help="labelled comparisons that no run sees")
    parser.add_argument("--limit", type=int, help="test comparisons, the same for all cells")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to N")
    parser.add_argument("--only", type=Curve, choices=list(Curve), help="run and show this curve alone")
    parser.add_argument("--show", type=_words, help="draw these alone, such as seed-only,seed-only:direct")
    parser.add_argument("--readings", action="store_true", help="also what each reading of a verdict gives by itself")
    parser.add_argument("--variants", type=_words, default=list(VARIANTS))
    parser.add_argument("--labels", type=_words, default=_words("16,64,200,600,all"), help="numbers, own, all")
    parser.add_argument("--unlabelled", type=_words, default=_words("0,300,1000,2500"), help="numbers, own")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--csv", type=Path, help="default: OUT/label_curves.csv")
    parser.add_argument("--plot", type=Path, help="default: OUT/label_curves.svg")
    parser.add_argument("--jobs", type=int, help="cells at once; default: what cores and memory allow")
    given = parser.parse_args(arguments)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    base = load_config(given.run)
    refuse_seen(base, given.test)
    points = Points(base)
    # What two curves have in common is run once.
    chosen = {each.variant.name: each.variant for each in wanted(points, given)}
    plan = AblationPlan(base, list(chosen.values()), range(1, given.seeds + 1), given.test, given.limit)
    table, figure = given.csv or given.out / "label_curves.csv", given.plot or given.out / "label_curves.svg"
    names = list(dict.fromkeys([*VARIANTS, *given.variants]))

    def write(_: object = None) -> int:
        found = collect(points, given.out, given.test, given.limit, names, readings=given.readings)
        found = [row for row in found if given.only in (None, row["curve"])]
        shown = given.show or list(dict.fromkeys(row["variant"] for row in found))
        write_text(table, as_csv(found))
        if found:
            write_text(figure, draw(found, points.labels, shown))
        return len(found)

    outcome = run_plan(plan, given.out, given.jobs or default_jobs(base), Bars(), write)
    rows = write()
    for name, reason in (outcome.skipped | outcome.failures).items():
        print(f"{name}: no result, {reason}")
    print(f"{rows} rows in {table}, drawn in {figure}. {versions()}")
    return 1 if outcome.failures else 0


def wanted(points: Points, given: argparse.Namespace) -> list[Point]:
    """The points that the options ask for, variant by variant: seed-only before full, whose seed judges are the same."""
    found: list[Point] = []
    for name in given.variants:
        if given.only in (None, Curve.LABELS):
            sizes = {"own": points.labels, "all": points.all_labels}
            found += [points.point(Curve.LABELS, _size(x, sizes), name) for x in given.labels]
        if given.only in (None, Curve.UNLABELLED) and name == FULL:
            found += [
                points.point(Curve.UNLABELLED, _size(x, {"own": points.unlabelled}), name) for x in given.unlabelled
            ]
    return found


def collect(
    points: Points, out: Path, test: str, limit: int | None, names: Sequence[str], *, readings: bool = False
) -> list[dict[str, Any]]:
    """A row, with ``Marks``, for each place on a curve and seed that has a finished cell of this run file and test; with
    ``readings`` one more for each reading, if the cell has several."""
    rows: list[dict[str, Any]] = []
    for file in sorted(out.glob(f"cells/*/{RESULT}")):
        spec = json.loads((file.parent / SPEC).read_text(encoding="utf-8"))
        result = json.loads(file.read_text(encoding="utf-8"))
        for point in points.of_cell(spec["variant"]):
            if point.name not in names:
                continue
            settled = points.settled(point, result["seed"])
            if (spec["config"], spec["test"], spec["limit"]) != (settled.config, test, limit):
                print(f"{file.parent} is of another run file or test: left out", file=sys.stderr)
                continue
            place = {"curve": point.curve.value, "x": point.x, "variant": point.name}
            sizes = {"labels": settled.labels, "unlabelled": settled.unlabelled}
            rows.append(result | place | sizes | {MARKS: read_marks(file.parent / TEST)})
            rows += singly(rows[-1], file.parent / TEST) if readings else []

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        name, _, reading = row["variant"].partition(":")
        return row["curve"], names.index(name), reading, row["x"], row["seed"]

    return sorted(rows, key=order)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows' text."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in each.items()} for each in rows)
    return buffer.getvalue()


def draw(rows: Sequence[dict[str, Any]], labels: int, names: Sequence[str]) -> str:
    """A panel for each curve that has points, a line for each variant that has some."""
    panels: dict[str, dict[str, list[plots.Point]]] = {}
    for curve, label in AXES.items():
        for name in names:
            mine = [row for row in rows if (row["curve"], row["variant"]) == (curve, name)]
            for x in sorted({row["x"] for row in mine}):
                mean = summarise([row for row in mine if row["x"] == x], name)[0].accuracy
                lines = panels.setdefault(label.format(labels), {})
                lines.setdefault(name, []).append((x, mean.value, mean.low, mean.high))
    return plots.sweep(panels, "accuracy on the test set, %")


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _size(word: str, sizes: dict[str, int]) -> int:
    """Raises: SystemExit: the word is neither a number nor one of the sizes."""
    if word not in sizes and not word.isdecimal():
        sys.exit(f"{word!r} is not a number of comparisons: give numbers, or {', '.join(sizes)}")
    return sizes[word] if word in sizes else int(word)


if __name__ == "__main__":
    sys.exit(main())
