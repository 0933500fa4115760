"""A system prompt in a column of its own is shown; a column that nobody understands is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gramr2.comparison import Message
from gramr2.config.data import Layout
from gramr2.data import load_labeled, load_responses, load_sets
from gramr2.errors import DataError

ROW = {"system": "You always answer in French.", "prompt": "Say hello.", "chosen": "Bonjour !", "rejected": "Hello"}


def test_it_is_a_turn_before_the_prompt(write: Callable[..., str]) -> None:
    (item,), _ = load_labeled(write(ROW))
    assert item.comparison.prompt == (Message("system", ROW["system"]), Message("user", "Say hello."))
    turns = [{"role": "system", "content": ROW["system"]}, {"role": "user", "content": "Say hello."}]
    (again,), _ = load_labeled(write(ROW | {"prompt": turns}))
    assert again.comparison.prompt == item.comparison.prompt
    with pytest.raises(DataError, match="system.*differ"):
        load_labeled(write(ROW | {"prompt": turns, "system": "You answer in German."}))


def test_it_is_kept_beside_an_implicit_prompt(write: Callable[..., str]) -> None:
    row = {
        "system": "Be brief.",
        "chosen": "\n\nHuman: Hi\n\nAssistant: Hi",
        "rejected": "\n\nHuman: Hi\n\nAssistant: No",
    }
    (item,), _ = load_labeled(write(row))
    assert [turn.role for turn in item.comparison.prompt] == ["system", "user"]


@pytest.mark.parametrize("name", ["question", "instruction", "input", "query"])
def test_the_prompt_of_another_name_is_the_prompt(name: str, write: Callable[..., str]) -> None:
    """The words that both answers share are the prompt only where there is no other text."""
    (item,), _ = load_labeled(write({name: "Two and two?", "chosen": "It is 4", "rejected": "It is 5"}))
    assert item.comparison.prompt_text == "Two and two?"
    assert set(item.comparison.responses) == {"It is 4", "It is 5"}


def test_text_that_nobody_uses_is_refused_or_ignored_by_name(write: Callable[..., str]) -> None:
    file = write({"chosen": "It is 4", "rejected": "It is 5", "riddle": "Two and two?"})
    with pytest.raises(DataError, match=r"in\.jsonl:1: .*riddle.*ignore"):
        load_labeled(file)
    (item,), _ = load_labeled(file, layout=Layout(ignore=["riddle"]))
    assert item.comparison.prompt_text == "It is "
    (item,), _ = load_labeled(file, layout=Layout(columns={"prompt": "riddle"}))
    assert item.comparison.prompt_text == "Two and two?"


def test_numbers_and_what_is_said_about_a_row_are_no_text(write: Callable[..., str]) -> None:
    about = {
        "seen": 3,
        "ok": True,
        "empty": "",
        "none": None,
        "rejected_model": "m",
        "created_at": "May",
        "subset": "s",
    }
    (item,), _ = load_labeled(write({"prompt": "p", "chosen": "a", "rejected": "b"} | about))
    assert item.comparison.category == "s"


def test_ranking_and_scoring_refuse_it_too(write: Callable[..., str]) -> None:
    row = {"prompt": "p", "responses": ["a", "b"], "hint": "c"}
    for load in (load_sets, load_responses):
        with pytest.raises(DataError, match="hint"):
            load(write(row))
        assert load(write(row), layout=Layout(ignore=["hint"]))[1].kept
        items, _ = load(write(row | {"hint": None, "system": "Be brief."}))
        assert items[0].prompt[0] == Message("system", "Be brief.")
