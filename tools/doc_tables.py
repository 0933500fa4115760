"""Write the tables of the docs that follow from the code, such as that of the filters.

    python tools/doc_tables.py [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` in a file of docs/.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gramr2.evaluation.attacks import attacks
from gramr2.evaluation.benchmarks import benchmarks
from gramr2.judging.prompts import prompts
from gramr2.registry import filters

DOCS = Path(__file__).parent.parent / "docs"
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filter_table() -> str:
    """A line for each filter: what it keeps, its settings, and what it measures."""
    rows = []
    for kind, each in filters().items():
        settings = [f"`{name}`" for name in each.model_fields if name != "kind"]
        keeps = first_paragraph(each).removeprefix("Keep ").rstrip(".")
        measures = [f"`{name}`: {meaning}" for name, meaning in each.measures.items()]
        rows.append([f"`{kind}`", f"{each.stage}s", keeps, ", ".join(settings), "; ".join(measures)])
    return table(["kind", "looks at", "keeps", "settings", "leaves in `measures`"], rows)


def benchmark_table() -> str:
    """A line for each benchmark: what it measures and asks, its metric, what is read, and what that was checked against."""
    rows = []
    for name, each in benchmarks().items():
        source = f"[{name}]({each.home})" if each.home.startswith("https:") else name
        policy = f"{each.metric}; a failure: {each.policy}"
        rows.append([source, each.measures, each.asks, policy, each.layout, each.verified, each.licence])
    heads = ["name", "measures", "items", "official metric", "layout read", "verified against", "licence"]
    return table(heads, rows)


def attack_table() -> str:
    """A line for each attack: what is done, and what it is compared with."""
    rows = [[f"`{name}`", each.does, each.against] for name, each in attacks().items()]
    return table(["attack", "what is done", "beside it"], rows)


def prompt_table() -> str:
    """A line for each prompt of the field: how its verdict is written, and which published prompt has its form."""
    rows = [
        [f"`{name}`", ", ".join(f"`{form}`" for form in each.formats), "yes" if each.ties else "no", each.form_of]
        for name, each in prompts().items()
    ]
    return table(["prompt", "verdict", "tie", "in the form of"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "attacks": attack_table,
    "benchmarks": benchmark_table,
    "filters": filter_table,
    "prompts": prompt_table,
}


def first_paragraph(documented: object) -> str:
    """The first paragraph of a docstring as Markdown on one line."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rewritten(text: str) -> str:
    """The text with its tables as the code has them now."""
    return _PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write, or say which files would change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, and fail where something would change")
    check = parser.parse_args(arguments).check
    stale = []
    for file in sorted(DOCS.rglob("*.md")):
        before = file.read_text(encoding="utf-8")
        after = rewritten(before)
        if after != before:
            stale.append(file.name)
            if not check:
                file.write_text(after, encoding="utf-8")
    if check and stale:
        sys.exit(f"{', '.join(stale)}: a table is not what the code says: run make docs")


if __name__ == "__main__":
    main()
