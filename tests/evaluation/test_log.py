"""An evaluation's folder: what is written is read back, what is damaged is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.errors import ConfigError, RunError
from gramr2.evaluation.evaluating import Asked, finished, judge_items, summarised, there
from gramr2.evaluation.log import ITEMS, SUMMARY, item_of, read_log, write_log
from gramr2.evaluation.slices import by_length, by_place, calibration, sliced
from gramr2.judgment import Decision, LabelProbabilities
from gramr2.loading import JudgeOptions, preference_model


def item(
    number: int, label: str = "A", first: str = "one", second: str = "two words", **extra: Any
) -> LabeledComparison:
    return LabeledComparison(
        Comparison(f"i{number}", as_messages(f"prompt {number}"), (first, second), **extra), Label(label)
    )


def decision(number: int, label: str | None, confidence: float | None = 0.9) -> Decision:
    belief = LabelProbabilities.certain(Label(label)) if label else None
    return Decision(
        f"i{number}", (), Label(label) if label else None, belief, confidence if label else None, None, None, 1
    )


def evaluated(folder: Path, items: list[LabeledComparison], model: str = "scripted:longer") -> Asked:
    judge = preference_model(model, JudgeOptions())
    asked = Asked("some.jsonl", model, items, {"votes": 1}, 0)
    write_log(folder, *summarised(asked, judge, judge_items(judge, asked)))
    return asked


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    items = [item(0, "B", category="tone", group="g"), item(1, "A"), item(2, "tie")]
    evaluated(tmp_path / "e", items)
    log = read_log(tmp_path / "e")
    assert [(each.id, each.expected, each.label, each.right) for each in log.items] == [
        ("i0", "B", "B", True),
        ("i1", "A", "B", False),
        ("i2", "tie", "B", False),
    ]
    assert (log.items[0].category, log.items[0].group, log.items[1].category) == ("tone", "g", None)
    assert [vote["order"] for vote in log.items[0].votes] == ["ab", "ba"]
    assert (log.summary.result["n"], log.summary.result["accuracy"], log.summary.longer) == (3, 1 / 3, 1 / 3)
    assert log.summary.versions and log.summary.prompt
    assert log.name == "scripted:longer"


def test_the_key_is_of_what_the_answers_depend_on() -> None:
    judge = preference_model("scripted:longer", JudgeOptions())
    plain = Asked("f", "m", [item(0)], {"votes": 1, "device": "cpu", "workers": None}, 0)
    key = plain.key(judge)
    assert Asked("g", "n", [item(0)], {"votes": 1, "device": "cuda", "workers": 2}, 0).key(judge) == key
    others = [
        Asked("f", "m", [item(0, "B")], {"votes": 1}, 0),
        Asked("f", "m", [item(0)], {"votes": 2}, 0),
        Asked("f", "m", [item(0)], {"votes": 1}, 1),
        Asked("f", "m", [item(0), item(1)], {"votes": 1}, 0),
    ]
    assert len({each.key(judge) for each in others} | {key}) == 5


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    asked = evaluated(folder, [item(0)])
    judge = preference_model("scripted:longer", JudgeOptions())
    assert there(folder, asked.key(judge)) is not None
    assert there(tmp_path / "new", "k") is None
    with pytest.raises(ConfigError, match=r"is an evaluation of scripted:longer on some\.jsonl with other"):
        there(folder, "other")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(ConfigError, match="has other files"):
        there(tmp_path / "full", "k")
    with pytest.raises(ConfigError, match="is a file"):
        there(tmp_path / "full" / "notes.txt", "k")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        (SUMMARY, "{", "cannot be read"),
        (SUMMARY, '{"version": 1}', "cannot be read"),
        (SUMMARY, None, "has no eval.json"),
        (ITEMS, "", "has 0 items, and eval.json counts 1"),
        (ITEMS, '{"id": 1}\n', "is damaged"),
        (ITEMS, "[", "is damaged"),
        (ITEMS, None, "is damaged"),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, text: str | None, told: str) -> None:
    evaluated(tmp_path, [item(0)])
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_text(text)
    with pytest.raises(RunError, match=told):
        read_log(tmp_path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    evaluated(tmp_path, [item(0)])
    values = json.loads((tmp_path / SUMMARY).read_text()) | {"version": 2}
    (tmp_path / SUMMARY).write_text(json.dumps(values))
    with pytest.raises(RunError, match="upgrade gramr2"):
        read_log(tmp_path)


def test_what_failed_is_asked_again(tmp_path: Path) -> None:
    asked = evaluated(tmp_path, [item(0)])
    judge = preference_model("scripted:longer", JudgeOptions())
    summary = there(tmp_path, asked.key(judge))
    assert summary is not None and finished(summary)
    outcomes = {**summary.result["outcomes"], "error": 1}  # type: ignore[dict-item]
    assert not finished(summary.model_copy(update={"result": summary.result | {"outcomes": outcomes}}))
    assert not finished(summary.model_copy(update={"result": summary.result | {"decided": 0}}))


@given(prompt=st.text(), first=st.text(), second=st.text(), category=st.none() | st.text(min_size=1))
def test_any_text_survives(prompt: str, first: str, second: str, category: str | None) -> None:
    one = LabeledComparison(Comparison("x", as_messages(prompt), (first, second), category=category), Label.A)
    line = item_of(one, decision(0, "B"))
    assert line.model_validate_json(line.model_dump_json()) == line
    assert line.right is False


def test_halves_of_surrogate_pairs_are_written_out() -> None:
    line = item_of(item(0, first="a\ud800b"), decision(0, None))
    assert (line.responses[0], line.right) == ("a\\ud800b", None)


def test_parts_by_length_and_place() -> None:
    items = [
        item(0, "A", "x" * 50, "x"),
        item(1, "B", "x" * 50, "x"),
        item(2, "B", "x" * 50, "y" * 51),
        item(3, "tie"),
    ]
    assert [by_length(each) for each in items] == ["longer is better", "shorter is better", "about as long", "tie"]
    assert [by_place(each) for each in items] == ["first is better", "second is better", "second is better", "tie"]
    found = sliced(items, [decision(0, "A"), decision(1, "A"), decision(2, "B"), decision(3, None)], by_place)
    assert (found["second is better"].n, found["second is better"].accuracy) == (2, 0.5)
    assert (found["tie"].n, found["tie"].decided, found["tie"].accuracy) == (1, 0, None)


def test_calibration_by_hand() -> None:
    items = [item(0, "A"), item(1, "A"), item(2, "A"), item(3, "A")]
    decisions = [decision(0, "A", 0.9), decision(1, "B", 0.9), decision(2, "A", 0.6), decision(3, None)]
    found = calibration(items, decisions)
    assert found.n == 3
    # Two at 0.9 of which one is right, one at 0.6 that is: (2 · 0.4 + 1 · 0.4) / 3.
    assert found.ece == pytest.approx(0.4)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.16) / 3)
    assert calibration([], []).ece is None
