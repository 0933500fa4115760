"""KTO's rows of one prompt become few pairs, in which every completion occurs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gramr2.data.textfiles import RawRow
from gramr2.data.unpaired import paired
from gramr2.errors import DataError

Pair = tuple[str, str]


def rated(labels: list[bool], *, ids: bool = True, name: str = "f.jsonl") -> list[RawRow]:
    rows: list[RawRow] = []
    for i, label in enumerate(labels, 1):
        row: dict[str, Any] = {"prompt": "p", "completion": f"{'good' if label else 'bad'} {i}", "label": label}
        rows.append((f"{name}:{i}", f"{name}:{i}", row | ({"id": f"r{i}"} if ids else {})))
    return rows


def pairs(rows: list[RawRow]) -> list[Pair]:
    found = []
    for _, _, row in paired(rows):
        assert isinstance(row, dict)
        found.append((row["chosen"], row["rejected"]))
    return found


@given(st.lists(st.booleans(), min_size=2, max_size=40).filter(lambda labels: len(set(labels)) == 2), st.booleans())
def test_every_completion_occurs_and_none_much_more_often_than_another(labels: list[bool], ids: bool) -> None:
    rows = rated(labels, ids=ids)
    found = pairs(rows)
    assert len(found) == len(set(found)) == max(labels.count(True), labels.count(False))
    assert len({name for _, name, _ in paired(rows)}) == len(found)
    for side, label in enumerate((True, False)):
        counts = Counter(pair[side] for pair in found)
        assert len(counts) == labels.count(label)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert all(text.startswith("good" if label else "bad") for text in counts)


def test_thousands_of_completions_stay_thousands_of_pairs() -> None:
    assert len(pairs(rated([True] * 1500 + [False] * 1400))) == 1500


def test_the_pairs_depend_on_the_ids_and_not_on_the_place_of_the_file() -> None:
    labels = [True] * 12 + [False] * 12
    found = pairs(rated(labels))
    assert found == pairs(rated(labels, name="elsewhere/g.jsonl"))
    assert found != pairs([(place, name, row | {"id": f"other {row['id']}"}) for place, name, row in rated(labels)])  # type: ignore[operator,index]
    in_order = [(f"good {i}", f"bad {i + 12}") for i in range(1, 13)]
    assert found != in_order


def test_a_completion_without_a_counterpart_is_a_bad_row() -> None:
    ((_, _, error),) = paired(rated([True]))
    assert isinstance(error, DataError)
    assert "disliked" in str(error)
