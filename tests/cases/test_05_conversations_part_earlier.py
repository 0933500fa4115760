"""Two conversations that part before the last turn are the same comparison as text and as messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gramr2.data import load_labeled
from gramr2.errors import DataError


def as_messages(text: str) -> list[dict[str, str]]:
    roles = {"Human": "user", "Assistant": "assistant"}
    pairs = (part.split(": ", 1) for part in text.split("\n\n")[1:])
    return [{"role": roles[role], "content": content} for role, content in pairs]


CASES = [
    (
        "\n\nHuman: Which fruit is yellow?\n\nAssistant: A banana.\n\nHuman: Another one?\n\nAssistant: A lemon.",
        "\n\nHuman: Which fruit is yellow?\n\nAssistant: A plum.",
        "A banana.\n\nUser: Another one?\n\nAssistant: A lemon.",
    ),
    (
        "\n\nHuman: Sort 3 1 2\n\nAssistant: 1 2 3\n\nHuman: Thanks\n\nAssistant: Glad to help.",
        "\n\nHuman: Sort 3 1 2\n\nAssistant: 1 2 3\n\nHuman: Now descending\n\nAssistant: 3 2 1",
        "1 2 3\n\nUser: Thanks\n\nAssistant: Glad to help.",
    ),
]


@pytest.mark.parametrize(("chosen", "rejected", "answer"), CASES)
def test_both_forms_are_one_comparison(chosen: str, rejected: str, answer: str, write: Callable[..., str]) -> None:
    rows = {"chosen": chosen, "rejected": rejected}, {"chosen": as_messages(chosen), "rejected": as_messages(rejected)}
    text, turns = (load_labeled(write({"id": "h"} | row))[0][0] for row in rows)
    assert text == turns
    assert answer in text.comparison.responses
    assert len(text.comparison.prompt) == 1


def test_both_forms_are_refused_if_the_user_has_the_last_word(write: Callable[..., str]) -> None:
    chosen, rejected = (f"\n\nHuman: Hi\n\nAssistant: Yes\n\nHuman: {word}" for word in "ab")
    for one, two in ((chosen, rejected), (as_messages(chosen), as_messages(rejected))):
        with pytest.raises(DataError, match="ends with a turn of the role 'user'"):
            load_labeled(write({"chosen": one, "rejected": two}))
