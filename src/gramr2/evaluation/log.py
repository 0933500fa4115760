"""An evaluation as a folder: what was measured, with what, and one line an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Prompt, as_messages, unit_of
from gramr2.errors import RunError, reason_of
from gramr2.evaluation.agreement.records import AgreementReport
from gramr2.evaluation.ranked import RankedSet
from gramr2.files import read_jsonl, write_json, write_jsonl
from gramr2.hashing import digest_of
from gramr2.judging.records import comparison_row, decision_row, labeled_row
from gramr2.judgment import Decision
from gramr2.text import encodable

SUMMARY, ITEMS, SETS, ANSWERS = "eval.json", "items.jsonl", "sets.jsonl", "answers.journal"
VERSION = 1
Verdict = Literal["A", "B", "tie"]
Line = TypeVar("Line", bound=BaseModel)


class Item(BaseModel):
    """A line of ``items.jsonl``: the comparison, what people and the judge say about it, and what that took.

    It has the keys that ``gramr2 judge`` writes, so ``label`` is the judge's; the benchmark's is ``expected``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    prompt: str | list[dict[str, JsonValue]]
    responses: tuple[str, str]
    category: str | None = None
    source: str | None = None
    group: str | None = None
    expected: Verdict
    label: Verdict | None
    right: bool | None
    """None if the judge abstains"""
    credit: float | None = None
    """of a benchmark with a name, what the item counts in its official score, under its public policy"""
    confidence: float | None = None
    agreement: float | None = None
    order_flip: bool | None = None
    coverage: float = 0.0
    rationale: str | None = None
    rationale_order: Literal["ab", "ba"] | None = None
    probabilities: dict[str, float] | None = None
    readings: dict[str, dict[str, float]] = {}
    votes: tuple[dict[str, JsonValue], ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """since the decision before it: those of one batch come together"""
    annotations: dict[str, Verdict] = {}
    """what each annotator says, if the data name them; ``expected`` is what most say"""

    def labeled(self) -> LabeledComparison:
        """The comparison with the benchmark's label."""
        compared = Comparison(
            self.id, _turns(self.prompt), self.responses, category=self.category, source=self.source, group=self.group
        )
        return LabeledComparison(compared, Label(self.expected))


class Summary(BaseModel):
    """``eval.json``: what was measured with what, and the result."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    version: int = VERSION
    key: str
    """of everything that the answers depend on: the same evaluation has the same key"""
    benchmark: str
    digest: str
    """of the items with their labels"""
    model: str
    """as it was named"""
    judge: str
    """what determines its answers: digest of the weights, dtype, prompt and decoding"""
    prompt: str | None = None
    """digest of the prompt; None if there is none"""
    options: dict[str, JsonValue]
    """of decoding and voting"""
    seed: int
    limit: int | None = None
    skipped: tuple[str, ...] = ()
    """rows of the benchmark that could not be read"""
    versions: str
    """of the software, and the processor"""
    started: str
    """UTC"""
    seconds: float
    """of the last call, without the loading of the model"""
    prompt_tokens: int
    """of all votes, those of sets of responses too"""
    completion_tokens: int
    """as ``prompt_tokens``"""
    result: dict[str, JsonValue]
    """the fields of ``gramr2.evaluation.metrics.Accuracy``"""
    measures: dict[str, JsonValue] = Field(default_factory=dict)
    """see ``gramr2.evaluation.slices.measures``, and ``without_ties``"""
    longer: float | None = None
    """accuracy of always choosing the longer response"""
    official: dict[str, JsonValue] | None = None
    """of a benchmark with a name: see ``gramr2.rewards.benchmarks.report``"""
    agreement: AgreementReport | None = None
    """with people: see ``gramr2.evaluation.agreement.records``; None if there are no labels"""


@dataclass(frozen=True, slots=True)
class Log:
    """An evaluation as it was read from its folder."""

    path: Path
    summary: Summary
    items: tuple[Item, ...]
    sets: tuple[RankedSet, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from others in a table: the judge as it was named."""
        return self.summary.model


def item_of(
    item: LabeledComparison,
    decision: Decision,
    seconds: float = 0.0,
    annotations: Mapping[str, Label] | None = None,
) -> Item:
    """The line of an item; ``annotations`` are what each annotator says of it."""
    return Item.model_validate(
        encodable(comparison_row(item.comparison) | decision_row(decision))
        | {
            "expected": item.label.value,
            "right": None if decision.label is None else decision.label is item.label,
            "prompt_tokens": sum(vote.prompt_tokens for vote in decision.judgments),
            "completion_tokens": sum(vote.completion_tokens for vote in decision.judgments),
            "seconds": round(seconds, 3),
            "annotations": {encodable(name): label.value for name, label in (annotations or {}).items()},
        }
    )


def group_of(item: Item | RankedSet) -> str:
    """What an item shares with those that say less than as many of different prompts: its group, or its prompt."""
    return unit_of(item.group, prompt_text(item.prompt))


def items_digest(items: Sequence[LabeledComparison]) -> str:
    """Of the comparisons with their labels, in their order."""
    return digest_of([labeled_row(item) for item in items])


def write_log(folder: Path, summary: Summary, items: Sequence[Item], sets: Sequence[RankedSet] = ()) -> None:
    """Write the folder, the summary last: a folder that has one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    if sets:
        write_jsonl(folder / SETS, [each.model_dump(mode="json") for each in sets])
    write_jsonl(folder / ITEMS, [each.model_dump(mode="json") for each in items])
    write_summary(folder, summary)


def write_summary(folder: Path, summary: Summary) -> None:
    """Write the summary alone, of an evaluation that is there."""
    write_json(folder / SUMMARY, summary.model_dump(mode="json"))


def summary_in(folder: Path) -> Summary | None:
    """The summary in a folder; None if there is none yet.

    Raises:
        RunError: this version cannot read it.
    """
    file = folder / SUMMARY
    if not file.is_file():
        return None
    try:
        text = file.read_text(encoding="utf-8")
        found = Summary.model_validate_json(text)
    except (ValidationError, UnicodeDecodeError, OSError) as error:
        raise RunError(
            f"{file} cannot be read ({_why(error)}): give gramr2 eval another --out, or remove the folder"
        ) from error
    if found.version > VERSION:
        raise RunError(f"{file}: a newer gramr2 wrote it (version {found.version}): upgrade gramr2")
    return found


def read_log(folder: Path) -> Log:
    """The evaluation in a folder.

    Raises:
        RunError: there is none, or it is damaged.
    """
    summary = summary_in(folder)
    if summary is None:
        raise RunError(f"{folder} has no {SUMMARY}: give a folder that gramr2 eval has finished")
    items = _lines(folder / ITEMS, Item, summary.result.get("n"))
    ranked = (summary.official or {}).get("sets")
    sets = _lines(folder / SETS, RankedSet, ranked.get("n")) if isinstance(ranked, dict) else ()
    return Log(folder, summary, items, sets)


def _lines(file: Path, kind: type[Line], count: JsonValue) -> tuple[Line, ...]:
    try:
        found = tuple(kind.model_validate(row) for row in read_jsonl(file))
    except (ValidationError, ValueError, OSError) as error:
        raise RunError(f"{file} is damaged ({_why(error)}): evaluate again with another --out") from error
    if len(found) != count:
        raise RunError(
            f"{file} has {len(found)} items, and {SUMMARY} counts {count}: evaluate again with another --out"
        )
    return found


def prompt_text(prompt: str | list[dict[str, JsonValue]]) -> str:
    """The prompt of a line as one text: a single user's turn as it is, several with their roles."""
    return prompt if isinstance(prompt, str) else "\n\n".join(f"{turn.role}: {turn.content}" for turn in _turns(prompt))


def _turns(prompt: str | list[dict[str, JsonValue]]) -> tuple[Message, ...]:
    return as_messages(cast("Prompt", prompt))


def _why(error: Exception) -> str:
    return reason_of(error) if isinstance(error, ValidationError) else str(error).partition("\n")[0]
