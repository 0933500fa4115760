"""KTO's rows, each a completion that was liked or not: those of one prompt become pairs.

Source: https://huggingface.co/docs/trl/dataset_formats#unpaired-preference
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle

from gramr2.data.textfiles import RawRow
from gramr2.errors import DataError
from gramr2.randomness import fraction

_LIKED = {"true": True, "false": False}
_Rated = tuple[str, str, Mapping[str, object]]
_OF_THE_PROMPT = ("prompt", "system", "tools")


def paired(rows: Iterable[RawRow]) -> Iterator[RawRow]:
    """The rows, with KTO's ones after the others, as pairs of a liked and a disliked completion of the same prompt.

    Of n liked and m disliked completions there are max(n, m) pairs, and each completion is in at least one. A completion
    without a counterpart is a bad row, because there is nothing to compare it with.
    """
    prompts: dict[str, tuple[list[_Rated], list[_Rated]]] = {}
    for place, name, row in rows:
        liked = _liked(row)
        if liked is None or not isinstance(row, Mapping):
            yield place, name, row
        else:
            key = json.dumps([row.get(each) for each in _OF_THE_PROMPT], default=repr)
            prompts.setdefault(key, ([], []))[0 if liked else 1].append((place, name, row))
    for good, bad in prompts.values():
        if not (good and bad):
            other = "disliked" if good else "liked"
            for place, name, _ in (*good, *bad):
                told = (
                    f"{place}: no completion of this prompt is {other} (label), so there is nothing to compare it with"
                )
                yield place, name, DataError(told)
        yield from (_pair(first, second) for first, second in _matched(good, bad))


def _matched(good: list[_Rated], bad: list[_Rated]) -> Iterator[tuple[_Rated, _Rated]]:
    """Each completion of the larger side with one of the smaller side, whose completions take turns.

    All combinations would be the product of two numbers. A hash of the ids gives the order of turns, because neighbours in a
    file often come from one model.
    """
    if good and bad:
        larger, smaller = (good, bad) if len(good) >= len(bad) else (bad, good)
        turns = cycle(sorted(smaller, key=_turn))
        for one, other in zip(larger, turns, strict=False):
            yield (one, other) if larger is good else (other, one)


def _turn(rated: _Rated) -> float:
    _, name, row = rated
    given = row.get("id")
    return fraction(0, "unpaired", name if given is None else str(given))


def _liked(row: object) -> bool | None:
    """The label of a KTO row; None for any other row."""
    if not isinstance(row, Mapping) or row.get("completion") is None or row.get("prompt") is None:
        return None
    label = row.get("label")
    return label if isinstance(label, bool) else _LIKED.get(label.strip().lower()) if isinstance(label, str) else None


def _pair(good: _Rated, bad: _Rated) -> RawRow:
    (place, name, chosen), (_, other, rejected) = good, bad
    row = {key: value for key, value in {**rejected, **chosen}.items() if key not in ("completion", "label", "id")}
    row |= {"chosen": chosen["completion"], "rejected": rejected["completion"]}
    if chosen.get("id") is not None and rejected.get("id") is not None:
        row["id"] = f"{chosen['id']}-{rejected['id']}"
    return place, f"{name}-{other.rpartition(':')[2]}", row
