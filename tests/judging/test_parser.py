"""Every verdict format, hostile text, and text that was cut off."""

from __future__ import annotations

import json
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
        ('{"winner": "B", "criteria": [{"name": "accuracy", "better": "A"}]}', B),
        ('{"criteria": [{"name": "accuracy", "better": "A"}], "winner": "B"}', B),
        ('{"explanation": "uses {x}", "winner": "A"}', A),
        ('{"explanation": "one line\nand one brace {", "winner": "A"}', A),
        ('{"result": {"winner": "B", "why": {"better": "A"}}}', B),
        ('{"answer": {"winner": "A"}}', A),
        ('[{"better": "A"}, {"better": "B"}]', BAD),
        ('{"criteria": [{"better": "A"}], "winner": "B"} so {"winner": "B"}', B),
        ('a set {x} of {{"winner": "A"}}', A),
        ('{"criteria": [{"better": "A"}], "winner": "B",}', BAD),
        ('{"criteria": [{"better": "A"}, {"name": "form", "bet', BAD),
        ('{"winner": B} I mean {"winner": "B"}', B),
        ('{"steps": ' + "9" * 5000 + ', "winner": "A"}', A),
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


def test_nested_without_end_is_read_in_linear_time() -> None:
    """Each beginning of such a text is one of an object."""
    start = time.perf_counter()
    for text in ('{"a":' * 500 + '{"b":[' + "{}," * 50_000, '{"a":' * 40_000 + "1" + "}" * 40_000):
        assert parse(text).outcome is BAD
    assert time.perf_counter() - start < 20


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


LABELS = {"A": A, "B": B, "tie": TIE}
criteria = st.recursive(
    st.dictionaries(st.sampled_from(["better", "name", "winner"]), st.sampled_from(["A", "B", "{", '"', "]}"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["better", "why"]), inner, max_size=2),
)


@given(
    st.sampled_from(list(LABELS)),
    criteria,
    st.text(st.characters(exclude_characters="<")),
    st.text(alphabet="x}[]:, \n"),
    st.booleans(),
)
def test_the_outermost_verdict_wins_whatever_is_nested_and_around(
    said: str, nested: object, why: str, before: str, first: bool
) -> None:
    rest = {"criteria": nested, "why": why}
    whole = {"winner": said} | rest if first else rest | {"winner": said}
    only = [VerdictFormat.JSON]
    assert parse(json.dumps(whole), formats=only).outcome is LABELS[said]
    assert parse(f"{before} {json.dumps(whole)}", formats=only).outcome is LABELS[said]


@given(st.sampled_from(list(LABELS)), criteria, st.data())
def test_a_broken_object_is_no_verdict(said: str, nested: object, data: st.DataObject) -> None:
    """Neither what is nested in an object that was cut off, nor what is in one with a comma too many."""
    text = json.dumps({"criteria": nested, "winner": said})
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    assert parse(cut, formats=[VerdictFormat.JSON]).outcome is BAD


@pytest.mark.parametrize(
    "piece",
    [
        *("<answer>", "[[", "{", "{}", "<think>", "\\boxed{", "<score_A>", "[[A>", "</think>", "\\boxed{" + 8000 * " "),
        *('{"', '{"a":', '{"a":[', '{"a":[{},', '{"a\\"', "{ ", '{"a":{},', '{"a":' + "9" * 5000, "}", '{"a":{"b":1}'),
    ],
)
def test_hostile_repetition_is_read_in_linear_time(piece: str) -> None:
    start = time.perf_counter()
    parse(piece * (200_000 // len(piece)))
    assert time.perf_counter() - start < 20  # quadratic behaviour takes minutes, so the bound is far from both
