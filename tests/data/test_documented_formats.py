"""The examples of docs/data.md: every format has one, each is read as the page says, and no change of it is silent."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2 import registry
from gramr2.comparison import Label, LabeledComparison
from gramr2.data import load_labeled, read_row
from gramr2.data.formats.base import Envelope, Format
from gramr2.errors import DataError

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"### (\w+)\n\n.*?\n\n```json\n(.*?)```\n\nBetter: `(.*?)`\. Worse: `(.*?)`\.", re.DOTALL)
EXAMPLES = {name: (json.loads(row), better, worse) for name, row, better, worse in EXAMPLE.findall(PAGE)}

# A row without one of these is a whole row of its own.
OPTIONAL = {"system", "tools", "input", "orig_criteria", "rationale"}


def read(row: Any, folder: Path) -> tuple[LabeledComparison, ...]:
    (folder / "row.json").write_text(json.dumps([row]), encoding="utf-8")
    return load_labeled(str(folder / "row.json"))[0]


def test_every_format_is_there_with_an_example_and_in_the_table() -> None:
    modules = [module for module in registry.modules("formats") if module.__name__.startswith("gramr2.data.formats.")]
    names: dict[str, str] = {
        module.__name__.rpartition(".")[2]: value.columns
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, Format | Envelope)
    }
    assert set(EXAMPLES) == set(names)
    assert dict(re.findall(r"^\| \[(\w+)\]\(#\1\) \| (.*) \|$", PAGE, re.MULTILINE)) == names


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_as_it_says(name: str, tmp_path: Path) -> None:
    row, better, worse = EXAMPLES[name]
    item = read(row, tmp_path)[0]
    assert (item if item.label is Label.A else item.swap()).comparison.responses == (better, worse)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key of every object in a value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*path, key)
            yield from places(each, (*path, key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from places(each, (*path, i))


MUTATIONS = [(name, path) for name, (row, *_) in EXAMPLES.items() for path in places(row)]


def outcome(row: Any, folder: Path) -> Any:
    """What the judge is shown and taught, or None if the row is refused."""
    try:
        # The side of the chosen answer depends on the id, which is of no account.
        items = [item.swap() if item.label is Label.B else item for item in read(row, folder)]
        return [(item.comparison.prompt, item.comparison.responses, item.label, item.target) for item in items]
    except DataError:
        return None


@pytest.mark.parametrize(("name", "path"), MUTATIONS, ids=lambda value: str(value))
@pytest.mark.parametrize("change", ["dropped", "renamed"])
def test_a_field_that_is_dropped_or_renamed_is_missed_or_of_no_account(
    name: str, path: tuple[Any, ...], change: str, tmp_path: Path
) -> None:
    row = copy.deepcopy(EXAMPLES[name][0])
    holder = row
    for key in path[:-1]:
        holder = holder[key]
    value = holder.pop(path[-1])
    if change == "renamed":
        holder[f"{path[-1]}x"] = value
    elif path[-1] in OPTIONAL:
        pytest.skip("a row without it is a whole row")
    assert outcome(row, tmp_path) in (None, outcome(EXAMPLES[name][0], tmp_path))


values = st.recursive(
    st.sampled_from([None, True, 0, -3, 2.5, float("nan"), float("inf"), 10**400, "", " ", "A", "[", "[1]", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "tool_calls", "value"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.sampled_from(MUTATIONS), values)
def test_any_value_in_any_place_is_read_or_refused_with_the_place(
    where: tuple[str, tuple[Any, ...]], value: object
) -> None:
    name, path = where
    row = copy.deepcopy(EXAMPLES[name][0])
    holder = row
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    try:
        assert read_row(row, "f:7", default_id="f:7")
    except DataError as error:
        assert str(error).startswith("f:7: ")
        str(error).encode("utf-8")


def test_a_row_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(DataError, match="nested too deeply"):
        read_row({"prompt": "p", "responses": ["a", "b"], "x": deep}, "f:7", default_id="f:7")
