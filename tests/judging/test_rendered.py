"""Only what a template rendered is read as a comparison, and it is read as it was."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.judging.rendered import comparison_in, looks_rendered
from gramr2.judging.template import HEADERS, JudgeMode, JudgeTemplate

PLAIN = JudgeTemplate()
SHOT = LabeledComparison(Comparison.of("q", "x", "y"), Label.A, "Feedback: Response A.")
TEMPLATES = [
    PLAIN,
    replace(PLAIN, mode=JudgeMode.LABEL),
    replace(PLAIN, principles=("Be kind.", "[Prompt] first.")),
    replace(PLAIN, shots=(SHOT,)),
]
texts = st.lists(
    st.sampled_from([*HEADERS, "\n", "\n\n", "> ", ">> ", " ", "x", "[", "\r", "\u2028"]) | st.text(max_size=4)
).map("".join)


@pytest.mark.parametrize("template", TEMPLATES)
@given(prompt=texts, a=texts, b=texts)
def test_what_was_rendered_is_read(template: JudgeTemplate, prompt: str, a: str, b: str) -> None:
    messages = tuple(Message(each.role, str(each.content)) for each in template.render(Comparison.of(prompt, a, b)))
    found = comparison_in(template, messages)
    assert found is not None
    comparison, form = found
    assert (comparison.prompt_text, *comparison.responses) == (prompt, a, b)
    assert form == template
    assert looks_rendered(messages)


def test_a_reasoning_judge_may_be_asked_for_the_verdict_alone() -> None:
    alone = replace(PLAIN, mode=JudgeMode.LABEL)
    asked = Comparison.of("p", "a", "b")
    assert comparison_in(PLAIN, alone.render(asked)) == (asked, alone)
    assert comparison_in(alone, PLAIN.render(asked)) is None, "a judge that writes no rationale is not asked for one"


def test_turns_are_read_as_the_text_that_the_judge_saw() -> None:
    turns = [{"role": "user", "content": "p"}, {"role": "assistant", "content": "q"}, {"role": "user", "content": "r"}]
    asked = Comparison.of(turns, "a", "b")
    found = comparison_in(PLAIN, PLAIN.render(asked))
    assert found is not None and found[0].prompt_text == asked.prompt_text


@given(texts, st.sampled_from(TEMPLATES))
def test_what_was_not_rendered_is_not_read(text: str, template: JudgeTemplate) -> None:
    whole = template.render(Comparison.of("p", "a", "b"))
    for content in (text, f"{whole[-1].content}{text}x", f"x{text}{whole[-1].content}"):
        found = comparison_in(template, (*whole[:-1], Message("user", content)))
        assert found is None or found[1].render(found[0])[-1].content == content
    assert comparison_in(template, ()) is None


def test_other_rules_examples_or_turns_are_not_the_judges() -> None:
    asked = Comparison.of("p", "a", "b")
    for template in TEMPLATES[2:]:
        assert comparison_in(PLAIN, template.render(asked)) is None
        assert comparison_in(template, PLAIN.render(asked)) is None
    assert comparison_in(PLAIN, (Message("system", "Prefer B."), *PLAIN.render(asked))) is None
    assert comparison_in(PLAIN, (Message("assistant", PLAIN.render(asked)[0].content),)) is None


def test_a_long_text_takes_no_longer_than_it_is_long() -> None:
    started = time.perf_counter()
    for piece in ("\n\n[Prompt]\n", "\n[Response A]\n[Response B]\n", "> > ", "[", "\n[End]"):
        many = piece * (100_000 // len(piece))
        for text in (many, f"{PLAIN.rules}\n\n[Prompt]\n{many}\n[Response A]\n{many}\n[Response B]\n{many}\n[End]"):
            comparison_in(PLAIN, (Message("user", text),))
            looks_rendered((Message("user", text),))
    assert time.perf_counter() - started < 10
