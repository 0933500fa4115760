"""Pseudo-labels that are most worth a person's look, and what a person made of them, as seed labels.

A label of a comparison that the judge is sure of, and right about, teaches nothing. Worth a look is where its votes or its
orders contradict each other, where it hardly decides, and what a run is about to learn on the weakest grounds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gramr2.comparison import Label
from gramr2.data.textfiles import json_lines
from gramr2.errors import DataError
from gramr2.mentions import turned
from gramr2.reporting.examples import example, prompt_text
from gramr2.reporting.run import RoundView, Row, RunView

COLUMNS = ("id", "prompt", "response_a", "response_b", "why", "judge", "confidence", "label", "rationale")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Why(StrEnum):
    """Why a comparison is worth a look."""

    CONTRADICTORY = "contradictory"
    """votes or orders disagree; the most confident first"""
    UNCERTAIN = "uncertain"
    """dropped, and hardly decided"""
    LEARNT = "learnt"
    """kept, and so about to be learnt; the least confident first"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judged comparison in its stored order, as a row that ``gramr2.data`` reads, with the judge's label and rationale."""

    row: Row
    label: Label | None
    rationale: str | None
    confidence: float
    why: Why


def worth_a_look(round_: RoundView, limit: int) -> list[Candidate]:
    """Up to ``limit`` comparisons of a round, the reasons in turn; a prompt occurs again only after all others have."""
    found = sorted(_candidates(round_), key=lambda each: (each.confidence, _id(each)))
    split = sorted(found, key=lambda each: (-each.confidence, _id(each)))
    queues = [
        [each for each in (split if why is Why.CONTRADICTORY else found) if each.why is why]
        for why in (Why.CONTRADICTORY, Why.UNCERTAIN, Why.LEARNT)
    ]
    in_turn = [each for level in zip_longest(*queues) for each in level if each is not None]
    times: dict[str, int] = {}
    ranked = []
    for place, each in enumerate(in_turn):
        prompt = prompt_text(each.row["prompt"])
        times[prompt] = times.get(prompt, 0) + 1
        ranked.append((times[prompt], place, each))
    return [each for _, _, each in sorted(ranked, key=lambda item: item[:2])[:limit]]


def as_table(candidates: Iterable[Candidate]) -> list[Row]:
    """A row for each: its texts, why it is here, the judge's label, and the ``label`` and ``rationale`` to fill in or change."""
    return [
        {
            "id": each.row["id"],
            "prompt": prompt_text(each.row["prompt"]),
            "response_a": each.row["responses"][0],
            "response_b": each.row["responses"][1],
            "why": each.why.value,
            "judge": each.label.value if each.label else "",
            "confidence": round(each.confidence, 3),
            "label": "",
            "rationale": each.rationale or "",
        }
        for each in candidates
    ]


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV. What a spreadsheet would run as a formula begins with an apostrophe, which ``read_back`` ignores."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue()


def read_back(file: Path, run: RunView) -> list[Row]:
    """The labels that a person has filled in, as rows for ``data.seed``.

    Only ``id``, ``label`` and ``rationale`` are read; the texts are the run's own, since a spreadsheet may have changed them. A
    rationale that still is the judge's is dropped where the label is not the judge's.

    Raises:
        DataError: a row has an id that the run does not know, or one for the second time, or a label that is none; or no row is
            labelled.
    """
    # A round judges what earlier ones have judged, and the table may be of any of them.
    known: dict[str, list[Candidate]] = {}
    for round_ in run.rounds:
        for each in _candidates(round_):
            known.setdefault(_id(each), []).append(each)
    found: dict[str, Row] = {}
    for place, row in _rows(file):
        name, label = _cell(row.get("id")), _cell(row.get("label"))
        if not label:
            continue
        if name not in known or name in found:
            wrong = "occurs a second time" if name in found else f"is none that {run.path} has judged"
            raise DataError(f"{place}: the id {name!r} {wrong}")
        if label.upper() not in ("A", "B") and label.lower() != "tie":
            raise DataError(f"{place}: {label!r} is not a label: write A, B or tie, or leave it empty")
        given = Label(label.upper() if len(label) == 1 else "tie")
        rationale = _cell(row.get("rationale"))
        stale = any(rationale == _cell(each.rationale) and given is not each.label for each in known[name])
        found[name] = known[name][-1].row | {"label": given.value, "rationale": None if stale else rationale or None}
    if not found:
        raise DataError(f"{file}: no row has a label: write A, B or tie into its column label")
    return [*found.values()]


def _candidates(round_: RoundView) -> list[Candidate]:
    """All that a round has judged."""
    return [
        *(_candidate(row, kept=True) for row in round_.kept),
        *(_candidate(row, kept=False) for row in round_.dropped),
    ]


def _candidate(row: Row, *, kept: bool) -> Candidate:
    judged = example(row, kept)
    rationale = turned(judged.rationale) if judged.rationale_swapped else judged.rationale
    split = bool(judged.order_flip) or (judged.agreement is not None and judged.agreement < 1)
    why = Why.CONTRADICTORY if split else Why.LEARNT if kept else Why.UNCERTAIN
    texts = {key: row[key] for key in ("id", "prompt", "category", "source", "group") if key in row}
    label = Label(judged.label) if judged.label else None
    return Candidate(texts | {"responses": [*judged.responses]}, label, rationale, judged.confidence or 0.0, why)


def _rows(file: Path) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The rows of a file, each with its place."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8: save it as UTF-8") from error
    if file.suffix.lower() != ".csv":
        for place, _, row in json_lines(text, str(file), file.name):
            if isinstance(row, DataError):
                raise row
            if not isinstance(row, dict):
                raise DataError(f"{place}: not a row: write one JSON object a line")
            yield place, row
        return
    # Spreadsheets of some countries separate by semicolons.
    first = text.partition("\n")[0]
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        names = reader.fieldnames or ()
        if not {"id", "label"} <= set(names):
            raise DataError(f"{file}: the columns id and label are needed, and there are {', '.join(names)}")
        for row in reader:
            yield f"{file}:{reader.line_num}", row
    except csv.Error as error:
        raise DataError(f"{file}:{reader.line_num}: not a table: {error}") from error


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _id(each: Candidate) -> str:
    return str(each.row["id"])
