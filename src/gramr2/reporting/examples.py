"""Judged comparisons as they are shown to people: in the stored order, whatever order was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gramr2.randomness import fraction
from gramr2.reporting.run import RoundView, Row


@dataclass(frozen=True, slots=True)
class Example:
    """One judged comparison. ``fate`` says whether it was kept, or which filter dropped it and why; ``rationale_swapped``
    whether its rationale was written for the swapped order."""

    id: str
    prompt: str
    responses: tuple[str, str]
    label: str | None
    confidence: float | None
    agreement: float | None
    order_flip: bool | None
    rationale: str | None
    rationale_swapped: bool
    votes: tuple[Row, ...]
    measures: Row
    kept: bool
    fate: str

    @property
    def beginning(self) -> str:
        """The prompt's first words, by which people know it."""
        return first_words(self.prompt)


SHOWN = 90
"""characters of a prompt that name it"""


def first_words(prompt: str) -> str:
    """The beginning of a prompt on one line."""
    line = " ".join(prompt.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN].rsplit(' ', 1)[0]} …"


def example(row: Row, kept: bool) -> Example:
    """A row of ``kept.jsonl`` or ``dropped.jsonl``; a kept row that was learnt swapped is swapped back."""
    first, second = row["responses"]
    label, swapped = row["label"], bool(row.get("swapped"))
    if kept and swapped:
        first, second = second, first
        label = {"A": "B", "B": "A"}.get(label, label)
    return Example(
        id=row["id"],
        prompt=prompt_text(row["prompt"]),
        responses=(first, second),
        label=label,
        confidence=row["confidence"],
        agreement=row["agreement"],
        order_flip=row["order_flip"],
        rationale=row["rationale"],
        rationale_swapped=swapped if kept else row.get("rationale_order") == "ba",
        votes=tuple(row["votes"]),
        measures=row.get("measures", {}),
        kept=kept,
        fate="passed every filter" if kept else rejection(row),
    )


@dataclass(frozen=True, slots=True)
class Missed:
    """A gold comparison on which the judge is not right; ``label`` is None where it did not decide."""

    id: str
    prompt: str
    responses: tuple[str, str]
    category: str | None
    truth: str
    label: str | None
    confidence: float | None
    order_flip: bool | None
    rationale: str | None
    rationale_swapped: bool

    @property
    def beginning(self) -> str:
        """The prompt's first words, by which people know it."""
        return first_words(self.prompt)


def missed(gold: Sequence[Row]) -> list[Missed]:
    """The gold comparisons that a judge got wrong, the surest errors first."""
    wrong = [row for row in gold if row["label"] != row["truth"] and "responses" in row]
    return [
        Missed(
            row["id"],
            prompt_text(row["prompt"]),
            (row["responses"][0], row["responses"][1]),
            row.get("category"),
            row["truth"],
            row["label"],
            row["confidence"],
            row.get("order_flip"),
            row.get("rationale"),
            row.get("rationale_order") == "ba",
        )
        for row in sorted(wrong, key=lambda row: -(row["confidence"] or 0))
    ]


def rejection(row: Row) -> str:
    """“confidence: the label's probability is too low (0.62, wanted 0.8)”."""
    parts = [f"{row['value']}"] if row["value"] is not None else []
    parts += [f"wanted {row['threshold']}"] if row["threshold"] is not None else []
    details = ", ".join(parts)
    return f"{row['filter']}: {row['reason']}" + (f" ({details})" if details else "")


def prompt_text(prompt: str | Sequence[Row]) -> str:
    """A prompt as one text; each turn begins with its role."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in prompt)


def chosen(round_: RoundView, filters: Iterable[str], each: int = 2) -> list[Example]:
    """A few kept examples and a few dropped by each filter, drawn by a hash of their ids."""

    def draw(rows: Sequence[Row], count: int) -> list[Row]:
        return sorted(rows, key=lambda row: fraction(0, "report", round_.number, row["id"]))[:count]

    found = [example(row, kept=True) for row in draw(round_.kept, 2 * each)]
    for name in filters:
        found += [example(row, kept=False) for row in draw([r for r in round_.dropped if r["filter"] == name], each)]
    return found
