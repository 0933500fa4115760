"""Reading the columns of a published row; what is missing or of another type is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gramr2.comparison import Comparison, Label, ResponseSet
from gramr2.data.labels import number
from gramr2.data.turns import read_answer, read_prompt, read_reply
from gramr2.evaluation.benchmarks.items import Choice, Item, Pair
from gramr2.messages import BadRowError, Message, read_turns, shown, shown_names

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands.

    Args:
        default_id: the id of a row without one.
        part: the split, or the file below the folder that was opened, without its ending and with ``/`` between names.
        seed: for the placement of responses.
    """

    default_id: str
    part: str
    seed: int


def column(row: Row, name: str) -> Any:
    """A column that must be there.

    Raises:
        BadRowError: it is not, or null.
    """
    value = row.get(name)
    if value is None:
        names = shown_names([str(key) for key, each in row.items() if each is not None])
        raise BadRowError(f"there is no {name}; the columns here are {names or 'none'}")
    return value


def text(row: Row, name: str) -> str:
    """A text that must be there; it may be empty."""
    return read_reply(column(row, name), name)


def word(row: Row, *names: str) -> str | None:
    """The first of these columns that is there, a text or a whole number, as text."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def texts(row: Row, name: str) -> list[str]:
    """A list of texts that must be there."""
    value = column(row, name)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise BadRowError(f"{name} must be a list of texts, not {shown(value)}")
    return [read_reply(each, f"{name}[{i}]") for i, each in enumerate(value)]


def objects(row: Row, name: str) -> list[Row]:
    """A list of objects that must be there."""
    value = column(row, name)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise BadRowError(f"{name} must be a list of objects, not {shown(value)}")
    for each in value:
        if not isinstance(each, Mapping):
            raise BadRowError(f"{name} must be a list of objects, and has {shown(each)}")
    return list(value)


def inner(row: Row, name: str) -> Row:
    """An object that must be there."""
    value = column(row, name)
    if not isinstance(value, Mapping):
        raise BadRowError(f"{name} must be an object, not {shown(value)}")
    return value


def prompt(row: Row, name: str = "prompt") -> tuple[Message, ...]:
    """A prompt that must be there: a text, or chat messages, of which anything but role and content is ignored.

    A turn without words is kept: published items are what they are, and RMB has some.
    """
    value = column(row, name)
    if isinstance(value, str):
        return read_prompt(value)
    turns = [{key: each[key] for key in ("role", "content") if key in each} for each in objects(row, name)]
    found = tuple(turn.message for turn in read_turns(turns, name))
    if not any(turn.content.strip() for turn in found):
        raise BadRowError(f"{name} has no turn with words")
    return found


def numbers(row: Row, name: str) -> list[float]:
    """A list of numbers that must be there; true counts 1 and false 0."""
    value = column(row, name)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise BadRowError(f"{name} must be a list of numbers, not {shown(value)}")
    return [float(each) if isinstance(each, bool) else number(each, f"{name}[{i}]") for i, each in enumerate(value)]


def whole(value: object, name: str, below: int) -> int:
    """A whole number from 0 to below ``below``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        raise BadRowError(f"{name} must be a whole number from 0 to {below - 1}, not {shown(value)}")
    return value


def best(scores: Sequence[float]) -> frozenset[int]:
    """The indices of the highest score."""
    return frozenset(i for i, score in enumerate(scores) if score == max(scores))


_WINNERS = {
    "model_a": Label.A,
    "model_b": Label.B,
    "tie": Label.TIE,
    "tie (bothbad)": Label.TIE,
    "tie (inconsistent)": Label.TIE,
}


def winner(row: Row) -> Label:
    """The label in ``winner`` as the arena writes it: model_a, model_b, tie, tie (bothbad)."""
    value = column(row, "winner")
    if value not in _WINNERS:
        raise BadRowError(f"winner must be one of {', '.join(_WINNERS)}, not {shown(value)}")
    return _WINNERS[value]


def own_form(row: Row, place: Place, benchmark: str) -> Item:
    """A row in gramr2's own form: prompt, responses, and a label of two or scores of any number.

    A category that begins with the benchmark's name is taken without it.
    """
    turns = prompt(row)
    found = [read_answer(each, f"responses[{i}]", turns) for i, each in enumerate(column(row, "responses"))]
    name = word(row, "id") or place.default_id
    category = (word(row, "category", "subset") or "").removeprefix(f"{benchmark}-") or None
    facts = row.get("metadata")
    facts = facts if isinstance(facts, Mapping) else {}
    group = word(row, "group")
    if row.get("label") is not None and len(found) == 2:
        if row["label"] not in {*Label}:
            raise BadRowError(f"label must be A, B or tie, not {shown(row['label'])}")
        pair = Comparison(name, turns, (found[0], found[1]), category=category, group=group)
        return Pair(pair, Label(row["label"]), facts)
    scores = numbers(row, "scores")
    if len(scores) != len(found):
        raise BadRowError(f"there are {len(found)} responses and {len(scores)} scores")
    facts = {**facts, "scores": tuple(scores)}
    return Choice(ResponseSet(name, turns, tuple(found)), best(scores), category, group, facts)
