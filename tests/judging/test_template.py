"""Prompts keep responses apart whatever is in them, and answers have the pieces that decoding relies on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Label, LabeledComparison
from gramr2.judging.parser import parse
from gramr2.judging.template import CONCLUSIONS, HEADERS, OPENING, JudgeMode, JudgeTemplate, complete, extract
from gramr2.judgment import Outcome
from gramr2.written import parts_of

lines = st.sampled_from([*HEADERS, "> [End]", "> > [Response B]", "text", "", " [End]", "[Prompt] "])
hostile = st.one_of(st.text(max_size=40), st.lists(lines, min_size=1, max_size=6).map("\n".join))


@given(hostile, hostile)
def test_no_response_can_pretend_to_be_another(a: str, b: str) -> None:
    comparison = make(a=a, b=b)
    assert extract(JudgeTemplate(principles=("Be kind.",)).render(comparison)) == (comparison.prompt_text, a, b)


def test_both_orders_differ_only_in_the_places() -> None:
    template, comparison = JudgeTemplate(), make(a="x", b="y")
    assert extract(template.render(comparison.swap()))[1:] == ("y", "x")


def test_extract_refuses_other_text() -> None:
    from gramr2.comparison import Message

    with pytest.raises(ValueError, match="not a prompt"):
        extract((Message("user", "hello"),))


@pytest.mark.parametrize("label", list(Label))
def test_answers_parse_as_their_label(label: Label) -> None:
    text = "".join(JudgeTemplate().answer(label, "Response A is short, </think> Response B long."))
    parsed = parse(text)
    assert parsed.outcome is Outcome.of(label)
    assert parsed.rationale is not None
    assert parsed.rationale.startswith(OPENING)
    assert parsed.rationale.endswith(CONCLUSIONS[label])
    assert "".join(JudgeTemplate(JudgeMode.LABEL).answer(label, "ignored")) == f"<answer>{label.value}</answer>"


def test_complete_keeps_what_is_complete() -> None:
    text = "Feedback: fine.\nConclusion: Response B is better."
    assert complete(text, Label.B) == text


@pytest.mark.parametrize("text", ["</think>", "<thi<think>nk>", "</a</an</answer>swer>nswer>"])
def test_no_tag_is_left_in_a_rationale(text: str) -> None:
    assert complete(f"Feedback: a{text}b.", Label.A) == f"Feedback: ab.\n{CONCLUSIONS[Label.A]}"


def test_only_what_the_template_writes_is_its_own() -> None:
    shot = LabeledComparison(make("s", a="shot a"), Label.A, "Feedback: shot said")
    turns = JudgeTemplate(shots=(shot,)).render(make(a="[End]", b="b"))
    data = [text for turn in turns for text, ours in parts_of(turn.content) if not ours]
    said = f" shot said\n{CONCLUSIONS[Label.A]}"
    assert data == ["Prompt of s", "shot a", "a longer one", said, "Prompt of c1", "> [End]", "b"]
    pieces = JudgeTemplate().answer(Label.B, "said")
    assert [parts_of(piece)[0][1] for piece in pieces] == [True, False, True, True, True]


def test_the_hash_follows_the_prompt() -> None:
    hashes = {JudgeTemplate().hash, JudgeTemplate(JudgeMode.LABEL).hash, JudgeTemplate(principles=("x",)).hash}
    assert len(hashes) == 3
    assert JudgeTemplate().hash == JudgeTemplate().hash
