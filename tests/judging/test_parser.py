"""Every verdict format, hostile text, and text that was cut off."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.judging.parser import VerdictFormat, parse
from gramr2.judgment import Outcome

A, B, TIE, BAD, CUT = Outcome.A, Outcome.B, Outcome.TIE, Outcome.UNPARSEABLE, Outcome.TRUNCATED


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("<think>r</think>\n<answer>A</answer>", A),
        ("<think>r</think><answer> b </answer>", B),
        ("<answer>tie</answer>", TIE),
        ("<answer>[[A]]</answer>", A),
        ("<answer>[[C]]</answer>", TIE),
        ("<answer>Response B</answer>", B),
        ("<answer>2</answer>", B),
        ("<answer>A and B</answer>", BAD),
        ("<answer>A</answer> or rather <answer>B</answer>", B),
        ("Long talk. [[A]]", A),
        ("[[B]] I repeat [[B]]", B),
        ("[[C]]", TIE),
        ("[[A]] no, [[B]]", BAD),
        ("[[A>>B]]", A),
        ("[[B>A]]", B),
        ("[[A=B]]", TIE),
        ("[[B<<A]]", A),
        ("[[A>B]] [[B>A]]", BAD),
        ("[[A>A]]", BAD),
        (r"so \boxed{Assistant 1}", A),
        (r"\boxed{2}", B),
        (r"\boxed{A>>B}", A),
        (r"\boxed{\text{B}}", B),
        (r"\boxed{tie}", TIE),
        (r"\boxed{A} then \boxed{B}", B),
        ("<score_A>7</score_A><score_B>5</score_B>", A),
        ("<score_A>5</score_A><score_B>5.0</score_B>", TIE),
        ("<score_A>7</score_A>", BAD),
        ("<score_A>seven</score_A><score_B>5</score_B>", BAD),
        ("<score_A>nan</score_A><score_B>5</score_B>", BAD),
        ("<answer>3</answer><answer>5</answer>", B),
        ("<answer>5</answer><answer>5</answer>", TIE),
        ('```json\n{"winner": "A"}\n```', A),
        ('{"verdict": 2}', B),
        ('{"better": "tie", "why": "same"}', TIE),
        ('{"score_a": 3, "score_b": 9}', B),
        ('{"winner": true}', BAD),
        ('{"winner": "A"} no: {"winner": "B"}', BAD),
        ('{"winner": "A"} so {"winner": "A"}', A),
        ('like {"winner": "A or B"}: {"winner": "B"}', B),
        ('{"winner": "A", "winner": "B"}', BAD),
        ('{"winner": "A", "verdict": "B"}', BAD),
        ('{"answer": "42", "winner": "B"}', B),
        ('{"score_a": 3, "score_b": 9} {"winner": "A"}', BAD),
        (r"\boxed{   A   }", A),
        (r"\boxed{ \text{B} }", B),
        ("I like the first one.", BAD),
        ("", BAD),
    ],
)
def test_formats(text: str, outcome: Outcome) -> None:
    assert parse(text).outcome is outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("<think>It says <answer>B</answer>.</think><answer>A</answer>", A),
        ("<answer>B</answer><think>hm</think>", BAD),
        ("<think>[[B]] stands in Response A</think> [[A]]", A),
        ("<answer>A</answer> Ignore that: <answer>", BAD),
        ("<answer>A</answer> [[B]]", A),
        ("<think>never closed <answer>B</answer>", BAD),
        ("<answer>neither</answer> [[A]]", BAD),
    ],
)
def test_hostile(text: str, outcome: Outcome) -> None:
    assert parse(text).outcome is outcome


@pytest.mark.parametrize(
    "text", ["<think>and so", "<think>r</think><answer>A", "<think>r</think>", "no verdict yet", "<answer>A</ans"]
)
def test_cut_off_text_is_truncated(text: str) -> None:
    assert parse(text, truncated=True).outcome is CUT
    assert parse(text).outcome is BAD


def test_rationale() -> None:
    assert parse("<think>\nwhy\n</think><answer>A</answer>").rationale == "why"
    assert parse("prefilled why</think><answer>A</answer>").rationale == "prefilled why"
    assert parse("Because it is short. [[A]]").rationale == "Because it is short."
    assert parse("<answer>A</answer>").rationale is None


def test_formats_can_be_limited() -> None:
    assert parse("[[A]]", formats=[VerdictFormat.TAG]).outcome is BAD


fragments = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "A",
        "B",
        "tie",
        "[[",
        "]]",
        "{",
        "}",
        '"winner":',
        "\\boxed{",
        "<score_A>",
        "7",
        ">",
        " ",
    ]
)


@given(st.one_of(st.text(), st.lists(fragments, max_size=25).map("".join)), st.booleans())
def test_any_text_gives_an_outcome(text: str, truncated: bool) -> None:
    parsed = parse(text, truncated=truncated)
    assert isinstance(parsed.outcome, Outcome)
    assert parsed.outcome is not (BAD if truncated else CUT)


@given(st.text(alphabet=st.characters(exclude_characters="<>")), st.sampled_from([A, B, TIE]), st.data())
def test_our_own_format_and_all_its_beginnings(rationale: str, verdict: Outcome, data: st.DataObject) -> None:
    text = f"<think>{rationale}</think>\n<answer>{verdict.value}</answer>"
    parsed = parse(text)
    assert parsed.outcome is verdict
    assert parsed.rationale == (rationale.strip() or None)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert parse(text[:cut], truncated=True).outcome is CUT


@pytest.mark.parametrize(
    "piece",
    ["<answer>", "[[", "{", "{}", "<think>", "\\boxed{", "<score_A>", "[[A>", "</think>", "\\boxed{" + 8000 * " "],
)
def test_hostile_repetition_is_read_in_linear_time(piece: str) -> None:
    start = time.perf_counter()
    parse(piece * (200_000 // len(piece)))
    assert time.perf_counter() - start < 20  # quadratic behaviour takes minutes, so the bound is far from both
