"""A judge's prompt and readings beside its weights: what is saved is loaded, old files mean what they meant, damaged ones
are sentences."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import labeled
from gramr2.comparison import Label
from gramr2.errors import ModelError
from gramr2.judging.saved import PROMPT_FILE, load_options, load_template, save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import BOTH, DIRECT, REASONED, ReadingWeights

weights = st.floats(0, 4)


@given(
    weights, weights, st.booleans(), st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3)
)
def test_what_is_saved_is_loaded(direct: float, reasoned: float, ties: bool, principles: list[str]) -> None:
    readings = ReadingWeights(direct, reasoned, ties) if direct + reasoned else BOTH
    shots = (labeled("s", Label.B, "Response B is better."), labeled("t", Label.TIE))
    template = JudgeTemplate(JudgeMode.REASON, tuple(principles), shots, readings)
    with tempfile.TemporaryDirectory() as folder:
        save_template(template, Path(folder))
        assert load_template(Path(folder)) == template
        assert [each.name for each in Path(folder).iterdir()] == [PROMPT_FILE]


def test_a_file_that_others_share_is_replaced(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir(), theirs.mkdir()
    save_template(JudgeTemplate(readings=DIRECT), ours)
    os.link(ours / PROMPT_FILE, theirs / PROMPT_FILE)
    save_template(JudgeTemplate(readings=BOTH), ours)
    assert load_template(ours).readings == BOTH
    assert load_template(theirs).readings == DIRECT


def test_without_a_file_or_the_key_a_verdict_follows_its_rationale(tmp_path: Path) -> None:
    assert load_template(None) == load_template(tmp_path) == JudgeTemplate(readings=REASONED)
    (tmp_path / PROMPT_FILE).write_text(json.dumps({"mode": "reason", "principles": ["Be kind."]}))
    assert load_template(tmp_path) == JudgeTemplate(principles=("Be kind.",), readings=REASONED)


def test_another_mode_has_no_use_for_the_readings_of_the_old(tmp_path: Path) -> None:
    save_template(JudgeTemplate(JudgeMode.LABEL, readings=DIRECT), tmp_path)
    assert load_template(tmp_path) == load_template(tmp_path, "label")
    assert load_template(tmp_path, "label").readings == DIRECT
    assert load_template(tmp_path, "reason") == JudgeTemplate(JudgeMode.REASON, readings=REASONED)


@pytest.mark.parametrize(
    "readings",
    [
        None,
        [],
        "direct",
        {},
        {"direct": 1},
        {"direct": 1, "reasoned": 0, "other": 1},
        {"direct": "1", "reasoned": 1},
        {"direct": None, "reasoned": 1},
        {"direct": -0.1, "reasoned": 1},
        {"direct": float("nan"), "reasoned": 1},
        {"direct": float("inf"), "reasoned": 1},
        {"direct": 0, "reasoned": 0},
    ],
    ids=str,
)
def test_damaged_readings_are_a_sentence(readings: Any, tmp_path: Path) -> None:
    (tmp_path / PROMPT_FILE).write_text(json.dumps({"mode": "reason", "readings": readings}))
    with pytest.raises(ModelError, match=rf"{PROMPT_FILE} does not describe a judge's prompt .*remove it to use the"):
        load_template(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"mode": "sing"}', '{"principles": 3}', '{"shots": [{"prompt": "p"}]}']
)
def test_damaged_files_are_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / PROMPT_FILE).write_text(text)
    with pytest.raises(ModelError, match="does not describe a judge's prompt"):
        load_template(tmp_path)


def test_the_variables_of_the_chat_template_are_saved_with_the_prompt(tmp_path: Path) -> None:
    assert load_options(None) == load_options(tmp_path) == {}
    save_template(JudgeTemplate(), tmp_path)
    assert load_options(tmp_path) == {}
    assert "chat_template_options" not in json.loads((tmp_path / PROMPT_FILE).read_text())
    save_template(JudgeTemplate(principles=("Be kind.",)), tmp_path, {"enable_thinking": False})
    assert load_options(tmp_path) == {"enable_thinking": False}
    assert load_template(tmp_path) == JudgeTemplate(principles=("Be kind.",))


@pytest.mark.parametrize("text", ["", "[]", '{"chat_template_options": ["enable_thinking"]}'])
def test_damaged_variables_are_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / PROMPT_FILE).write_text(text)
    with pytest.raises(ModelError, match="does not describe a judge's prompt"):
        load_options(tmp_path)
