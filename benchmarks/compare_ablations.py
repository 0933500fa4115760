"""Finished ablations of one test set in one table, paired by seed and comparison across them.

    python benchmarks/compare_ablations.py plain=runs/ablation-plain warm=runs/ablation-warm --reference plain/seed-only --out DIR

For what one ablation cannot vary: two run files, or two commits of one. A configuration is called NAME/VARIANT, and with
--readings a single reading of its verdicts NAME/VARIANT:READING; means, intervals and differences are those of
gramr2.research.ablation. Reads result.json and test.jsonl of the cells, runs nothing, and writes table.md and, with --csv, a
line for every cell.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plans import exit_code

from gramr2.backends.hardware import versions
from gramr2.errors import ConfigError
from gramr2.files import write_text
from gramr2.research.ablation.cell import RESULT, TEST
from gramr2.research.ablation.marks import MARKS, comparable, read_marks, singly
from gramr2.research.ablation.statistics import summarise
from gramr2.research.ablation.tables import Account, markdown

COLUMNS = ("source", "configuration", "seed", "n", "accuracy", "order_flip_rate", "kept")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ablations", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--reference", required=True, metavar="NAME/VARIANT", help="what the differences are to")
    parser.add_argument("--only", help="configurations in the table, with commas between; default: all")
    parser.add_argument("--readings", action="store_true", help="also what each reading of a verdict gives by itself")
    parser.add_argument("--csv", type=Path, help="write every cell in the table here, too; rows of other sources stay")
    parser.add_argument("--source", default="", help="what --csv calls the data")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    results = [row for each in given.ablations for row in read(*named(each), readings=given.readings)]
    names = list(dict.fromkeys(row["variant"] for row in results))
    chosen = given.only.split(",") if given.only else names
    for name in (given.reference, *chosen):
        if name not in names:
            raise ConfigError(f"{name!r} is not among the finished configurations: {', '.join(names)}")
    results = [row for row in results if row["variant"] in {given.reference, *chosen}]
    if not comparable(results):
        raise ConfigError("the cells were not measured on the same comparisons: compare ablations of one test set")
    found = summarise(results, given.reference)
    about = f"n = {results[0]['n']} test comparisons; 95 % bootstrap intervals over seeds and test prompts"
    told = Account(
        "Ablations compared",
        [each for each in found if each.variant in chosen],
        {},
        [],
        f"{' '.join(given.ablations)}: {about}. {versions()}",
        given.reference,
    )
    text = markdown(told)
    write_text(given.out / "table.md", text)
    if given.csv:
        write_text(given.csv, cells_of([row for row in results if row["variant"] in chosen], given.source, given.csv))
    print(text)
    return 0


def cells_of(results: Sequence[Mapping[str, Any]], source: str, file: Path) -> str:
    """The results as CSV, a cell a line, below the lines that a file already has of other sources."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as before:
            table.writerows(row for row in csv.DictReader(before) if row.get("source") != source)
    for row in sorted(results, key=lambda row: (row["variant"], row["seed"])):
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        table.writerow(rounded | {"configuration": row["variant"], "source": source})
    return out.getvalue()


def named(argument: str) -> tuple[str, Path]:
    """NAME and DIR of an argument.

    Raises:
        ConfigError: it is not of that form, or there is no ablation.
    """
    name, equals, folder = argument.partition("=")
    if not name or not equals:
        raise ConfigError(f"{argument!r}: write NAME=DIR")
    if not (Path(folder) / "cells").is_dir():
        raise ConfigError(f"{folder} is not an ablation: it has no folder “cells”")
    return name, Path(folder)


def read(name: str, folder: Path, *, readings: bool = False) -> list[Mapping[str, Any]]:
    """The results of the finished cells, their variants renamed; also those of single readings, if a cell has several."""
    found: list[Mapping[str, Any]] = []
    for file in sorted((folder / "cells").glob(f"*/{RESULT}")):
        row = json.loads(file.read_text(encoding="utf-8"))
        row |= {"variant": f"{name}/{row['variant']}"}
        found.append(row | {MARKS: read_marks(file.with_name(TEST))})
        found += singly(found[-1], file.with_name(TEST)) if readings else []
    return found


if __name__ == "__main__":
    raise SystemExit(main())
