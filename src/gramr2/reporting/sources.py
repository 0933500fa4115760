"""One judge over many sources as a table, a CSV and a figure: a line per source, then all seen and all unseen ones together."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gramr2.evaluation.metrics import RESAMPLES, PairedTest
from gramr2.evaluation.sources import Row, Source, difference, together
from gramr2.reporting import plots
from gramr2.text import p_value, percent

JUDGE, ADAPTED, PRETRAINED = "judge", "adapted", "pretrained, adapted"
COLUMNS = {
    "longer": "longer",
    "bag-of-words": "bag-of-words",
    "frozen-features": "frozen-features",
    "seed judge": "seed judge",
    JUDGE: "judge",
    "own bag-of-words": "own bag-of-words",
    "own frozen-features": "own features",
    "specialised": "specialised",
    ADAPTED: ADAPTED,
    PRETRAINED: PRETRAINED,
}
"""columns of the table and the CSV: the judges by name, with their headings; a source's own bag of words is only in the CSV"""
HIDDEN = "own bag-of-words"
ADAPTED_TO = "all adapted to"
AGAINST = {
    JUDGE: ("seed judge", "frozen-features", "own frozen-features", "specialised"),
    ADAPTED: (JUDGE, PRETRAINED, "own frozen-features"),
}
"""what the judge, and a judge adapted to a source, are compared with on several sources together"""
DETAILS = ("low", "high", "order_flip_rate", "coverage")
Rows = Mapping[tuple[str, str], Row]
"""measurements, by the names of source and judge"""


@dataclass(frozen=True, slots=True)
class Line:
    """Results on a source, or on several together, by judge; ``tests`` compare pairs of judges, the first minus the second, and
    exist only for several sources."""

    name: str
    seen: bool
    n: int
    left_out: int
    judges: Mapping[str, Row]
    tests: Mapping[tuple[str, str], PairedTest]


def lines(sources: Sequence[Source], rows: Rows) -> list[Line]:
    """Lines for the seen sources, the unseen ones, each of the two groups together, and the sources a judge was adapted to. A
    judge without results on all sources of a group is left out of that group's line."""
    ordered = sorted(sources, key=lambda source: not source.seen)
    found = [
        Line(s.name, s.seen, len(s.items), s.left_out, {j: rows[s.name, j] for j in COLUMNS if (s.name, j) in rows}, {})
        for s in ordered
    ]
    groups = {f"all {_word(seen)}": [source for source in ordered if source.seen is seen] for seen in (True, False)}
    adapted = [source for source in ordered if (source.name, ADAPTED) in rows]
    if adapted != groups["all unseen"]:
        groups[ADAPTED_TO] = adapted
    for name, members in groups.items():
        some = [source for source in members if source.items]
        if some:
            found.append(_together(name, some, rows, sum(source.left_out for source in members)))
    return found


def markdown(found: Sequence[Line], provenance: str) -> str:
    """A table with the judge's intervals; below it the paired differences, and what was left out or undecided."""
    shown = [name for name in COLUMNS if name != HIDDEN and any(name in line.judges for line in found)]
    heads = ["source", "its seed", "n", *(COLUMNS[name] for name in shown)]
    text = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for line in found:
        cells = [_cell(line.judges.get(name), name in AGAINST) for name in shown]
        text.append(f"| {' | '.join([line.name, _word(line.seen), str(line.n), *cells])} |")
    text.append("")
    for line in found:
        text += [f"- {line.name}, {one} − {COLUMNS[other]}: {_points(t)}" for (one, other), t in line.tests.items()]
    for line in found:
        for name in AGAINST:
            row = line.judges.get(name)
            if row and row["coverage"] < 1:
                text.append(f"- {line.name}: {name} decided {percent(row['coverage'])}, and its accuracy is over these")
    for line in found:
        if line.left_out and not line.name.startswith("all "):
            text.append(
                f"- {line.name}: {line.left_out} of {line.n + line.left_out} are too long and left out for all judges"
            )
    return "\n".join([*text, "", f"{provenance} {_method()}", ""])


def as_csv(found: Sequence[Line]) -> str:
    """One row per source, with accuracies and the rest as shares of 1."""
    buffer = io.StringIO()
    records = [_record(line) for line in found]
    writer = csv.DictWriter(buffer, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in each.items()} for each in records)
    return buffer.getvalue()


def figure(found: Sequence[Line]) -> str:
    """Accuracy of the judge with its interval on every line, next to the seed judge and the frozen features, as SVG;
    adapted judges are not drawn."""
    found = [line for line in found if line.name != ADAPTED_TO]
    names = (JUDGE, "seed judge", "frozen-features")
    rows = [
        (f"{line.name} ({_word(line.seen)})" if not line.name.startswith("all ") else line.name, line) for line in found
    ]
    return plots.beside(
        [name for name, _ in rows],
        {name: [_bounds(line.judges.get(name)) for _, line in rows] for name in names},
        "accuracy, %",
    )


def _record(line: Line) -> dict[str, Any]:
    record: dict[str, Any] = {
        "source": line.name,
        "its_seed": _word(line.seen),
        "n": line.n,
        "left_out": line.left_out,
    }
    for name in COLUMNS:
        row = line.judges.get(name, {})
        record[name] = row.get("accuracy")
        if name in (*AGAINST, "seed judge"):
            record |= {f"{name} {key}": row.get(key) for key in DETAILS}
    for one, other in _pairs():
        test = line.tests.get((one, other))
        for key in ("difference", "low", "high", "p_value"):
            record[f"{one} - {other} {key}"] = getattr(test, key, None)
    return record


def _together(name: str, some: Sequence[Source], rows: Rows, left_out: int) -> Line:
    complete = {
        judge: [rows[source.name, judge] for source in some]
        for judge in COLUMNS
        if all((source.name, judge) in rows for source in some)
    }
    tests = {
        (one, other): difference(some, complete[other], complete[one])
        for one, other in _pairs()
        if one in complete and other in complete
    }
    judges = {judge: together(some, each) for judge, each in complete.items()}
    return Line(name, all(source.seen for source in some), sum(len(s.items) for s in some), left_out, judges, tests)


def _pairs() -> list[tuple[str, str]]:
    return [(one, other) for one, others in AGAINST.items() for other in others]


def _cell(row: Row | None, bounds: bool) -> str:
    if row is None or row["accuracy"] is None:
        return "–"
    interval = f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})" if bounds else ""
    return percent(row["accuracy"]) + interval


def _points(test: PairedTest) -> str:
    return f"{100 * test.difference:+.1f} points ({100 * test.low:+.1f} to {100 * test.high:+.1f}, {p_value(test.p_value)})"


def _bounds(row: Row | None) -> tuple[float, float, float] | None:
    return None if row is None or row["accuracy"] is None else (row["accuracy"], row["low"], row["high"])


def _word(seen: bool) -> str:
    return "seen" if seen else "unseen"


def _method() -> str:
    return (
        f"95 % intervals, over prompts ({RESAMPLES} resamples) if there are enough, else over comparisons; p is from an exact "
        "McNemar test over comparisons."
    )
