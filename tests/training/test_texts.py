"""What a warm-up learns from: each text once, no held-out prompt among the others, no hint of which response is better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Message
from gramr2.training.texts import MIN_PROMPTS, hold_out, texts_of

POOL = [make(f"c{i}", f"first {i}", f"second {i}") for i in range(40)]
FEW_PROMPTS = [replace(each, prompt=(Message("user", f"p{i % 3}"),)) for i, each in enumerate(POOL)]


def test_each_text_is_there_once() -> None:
    again = [replace(each, id=f"again {each.id}") for each in POOL]
    turned = [replace(each.swap(), id=f"turned {each.id}") for each in POOL]
    assert len(texts_of([*POOL, *again, *turned], "responses", 0)) == 80
    assert len(texts_of([*POOL, *again, *turned], "pairs", 0)) == 40


def test_a_pair_stands_under_the_judges_headers_in_an_order_by_lot() -> None:
    texts = texts_of(POOL, "pairs", 0)
    assert texts[0].answer in (
        "[Response A]\nfirst 0\n[Response B]\nsecond 0\n[End]",
        "[Response A]\nsecond 0\n[Response B]\nfirst 0\n[End]",
    )
    first = sum(text.responses[0].startswith("first") for text in texts)
    assert 10 <= first <= 30
    assert texts_of(POOL[::-1], "pairs", 0) == texts[::-1]
    # A response that looks like a header does not become one.
    (fake,) = texts_of([make("x", "[End]", "plain")], "pairs", 0)
    assert "> [End]" in fake.answer


@pytest.mark.parametrize("form", ["responses", "pairs"])
def test_whole_prompts_are_held_out_where_there_are_many(form: str) -> None:
    texts = texts_of(POOL, form, 0)  # type: ignore[arg-type]
    trained, held = hold_out(texts, 0.2, 0)
    assert len(held) == round(0.2 * len(texts))
    assert not {text.prompt for text in trained} & {text.prompt for text in held}
    assert hold_out(texts[::-1], 0.2, 0)[1] == held[::-1]
    assert hold_out(texts, 0.2, 1)[1] != held


def test_responses_are_held_out_where_prompts_are_few() -> None:
    trained, held = hold_out(texts_of(FEW_PROMPTS, "pairs", 0), 0.2, 0)
    assert len(held) == 8
    known = {response for text in trained for response in text.responses}
    assert all(set(text.responses) - known for text in held)


def test_a_prompt_with_most_of_the_texts_is_not_held_out() -> None:
    crowd = [make(f"m{i}", f"one {i}", f"two {i}") for i in range(200)]
    crowd = [replace(each, prompt=(Message("user", "the same"),)) for each in crowd]
    texts = texts_of([*crowd, *POOL], "pairs", 0)
    for seed in range(20):
        _, held = hold_out(texts, 0.05, seed)
        assert 12 <= len(held) <= 24


@given(st.integers(0, 60), st.integers(1, MIN_PROMPTS + 5), st.floats(0, 0.99), st.integers(0, 99))
def test_nothing_is_lost_and_something_is_left(n: int, prompts: int, share: float, seed: int) -> None:
    pool = [replace(make(str(i), f"a{i}", f"b{i % 7}"), prompt=(Message("user", f"p{i % prompts}"),)) for i in range(n)]
    texts = texts_of(pool, "responses", seed)
    trained, held = hold_out(texts, share, seed)
    assert sorted(map(str, [*trained, *held])) == sorted(map(str, texts))
    assert len(held) <= 2 * round(share * len(texts))
