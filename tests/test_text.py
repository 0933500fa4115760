"""Numbers as people read them, at the borders between two ways of writing them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.text import duration, p_value, percent, three_digits, visible, warm_up_line


@pytest.mark.parametrize(
    ("value", "text"), [(0.61349, "61.3 %"), (0, "0.0 %"), (1, "100.0 %"), (-0.025, "-2.5 %"), (None, "–")]
)
def test_a_share_is_in_percent_with_one_digit(value: float | None, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.61349, "0.613"),
        (-12.345, "-12.3"),
        (2.0, "2"),
        (0.00001234, "1.23e-05"),
        (12345, "12345"),
        ("12.3456", "12.3456"),
        (False, "False"),
        (None, "–"),
    ],
)
def test_only_a_float_is_rounded(value: object, text: str) -> None:
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "p < 0.001"),
        (0.00099, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0414, "p = 0.041"),
        (1.0, "p = 1.000"),
    ],
)
def test_a_p_value_is_never_nothing(value: float, text: str) -> None:
    assert p_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (40.4, "40 s"),
        (99.49, "99 s"),
        (99.5, "2 min"),
        (12 * 60 + 29, "12 min"),
        (99.49 * 60, "99 min"),
        (99.5 * 60, "1.7 h"),
        (3.5 * 3600, "3.5 h"),
        (100 * 3600, "100.0 h"),
    ],
)
def test_a_time_has_the_unit_that_leaves_two_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_warm_up_that_was_measured_says_what_it_changed() -> None:
    report = {
        "examples": 36, "tokens": 1234, "left_out": 0, "seconds": 600, "held_out": 4, "before": 2.0, "after": 1.23456,
    }  # fmt: skip
    line = warm_up_line(report)
    assert line.startswith("Warm-up on 36 texts, 1234 tokens, 10 min; loss per token ")
    assert line.endswith(" in 4 held-out texts 2.000 → 1.235.")
    assert ", 3 left out as too long, 10 min; " in warm_up_line(report | {"left_out": 3})
    # A loss of nothing was measured, too.
    assert warm_up_line(report | {"before": 0.0, "after": 0.0}).endswith(" 0.000 → 0.000.")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with a tab\tand a line\n", "plain, with a tab\tand a line\n"),
        ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
        ("a\rb\x9b2J\x7f", "a\\u000db\\u009b2J\\u007f"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("Größe 🙂 你好", "Größe 🙂 你好"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_shown_json_is_the_same_json(text: str) -> None:
    written = json.dumps({"text": text}, ensure_ascii=False)
    assert json.loads(visible(written)) == {"text": text}
    assert not any(character in visible(text) for character in "\x1b\x07\x9b\r\u202e")
