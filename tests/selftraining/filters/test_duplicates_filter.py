"""Near-copies: how alike two texts may be, and which of two that are too alike stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make, vote
from gramr2.comparison import Comparison, Message, Order
from gramr2.config import parse_config
from gramr2.errors import ConfigError
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.duplicates import Duplicates, text_of


def candidate(name: str, text: str, confidence: float | None = 0.9) -> Candidate:
    """The text is all that is compared: it is the prompt, and the responses have no words."""
    decided = decide(name, [vote(Outcome.A, order) for order in Order])
    return Candidate(Comparison(name, (Message("user", text),), ("", "")), decided, confidence)


def words(first: int, last: int) -> str:
    """Words from the one number to the other: so many, less two, are its 3-grams."""
    return " ".join(f"w{i}" for i in range(first, last + 1))


def after(
    candidates: Sequence[Candidate], known: dict[str, str] | None = None, limit: float = 0.5
) -> dict[str, str | None]:
    """By id, what it is nearly the same as; None for what is kept."""
    found = Duplicates(max_similarity=limit).review(candidates, FilterContext(known=known or {}))
    told: dict[str, str | None] = {}
    for before, each in zip(candidates, found, strict=True):
        assert isinstance(each, Rejection) or each is before
        told[before.comparison.id] = each.reason.rpartition(" ")[2] if isinstance(each, Rejection) else None
    return told


def test_the_text_is_prompt_and_responses_in_either_order() -> None:
    comparison = make("c", "second answer", "first answer")
    assert text_of(comparison) == text_of(comparison.swap()) == "Prompt of c\nfirst answer\nsecond answer"
    assert text_of(make("c", "x", "y")) != text_of(make("d", "x", "y"))


@pytest.mark.parametrize(("limit", "dropped"), [(0.5, False), (0.499, True), (0.51, False), (0.0, True), (1.0, False)])
def test_only_what_is_more_alike_than_allowed_goes(limit: float, dropped: bool) -> None:
    # Of 9 3-grams each 6 are shared: 6 of 12.
    pair = [candidate("x", words(1, 11)), candidate("y", words(4, 14), 0.8)]
    stage = FilterContext()
    found = Duplicates(max_similarity=limit).review(pair, stage)
    assert found == [pair[0], Rejection("duplicates", "nearly the same as x", 0.5, limit) if dropped else pair[1]]
    assert stage.thresholds == {"duplicates.max_similarity": limit}


def test_nothing_in_common_is_no_copy_even_where_nothing_is_allowed() -> None:
    assert after([candidate("x", words(1, 9)), candidate("y", words(8, 19))], limit=0.0) == {"x": None, "y": None}


@pytest.mark.parametrize(
    ("confidences", "kept"),
    [
        ((0.9, 0.8), "x"),
        ((0.8, 0.9), "y"),
        ((0.9, 0.9), "x"),
        ((None, 0.1), "y"),
        ((None, None), "x"),
        ((0.0, None), "x"),
    ],
)
def test_of_two_copies_the_surer_stays_and_of_equal_ones_the_first_by_name(
    confidences: tuple[float | None, float | None], kept: str
) -> None:
    pair = [candidate(name, words(1, 9), confidence) for name, confidence in zip("xy", confidences, strict=True)]
    expected = {"x": None, "y": "x"} if kept == "x" else {"x": "y", "y": None}
    assert after(pair) == after(pair[::-1]) == expected


def test_what_is_gone_takes_nothing_with_it() -> None:
    """In a chain the first is near the second and the second near the third, but the first not near the third."""
    chain = [candidate("x", words(1, 20), 0.9), candidate("y", words(5, 24), 0.8), candidate("z", words(9, 28), 0.7)]
    assert after(chain) == {"x": None, "y": "x", "z": None}
    # If the one in the middle is the surest, both others go.
    chain[1] = candidate("y", words(5, 24), 0.95)
    assert after(chain) == {"x": "y", "y": None, "z": "y"}


def test_a_copy_of_what_is_known_goes_however_sure_and_takes_nothing_with_it() -> None:
    known = {"gold-g": words(1, 20), "seed-s": words(50, 60)}
    items = [candidate("x", words(5, 24), 0.99), candidate("y", words(9, 28), 0.5), candidate("z", words(90, 99), 0.1)]
    assert after(items, known) == {"x": "gold-g", "y": None, "z": None}
    # The same comparison under another name is a copy too.
    assert after([candidate("y", words(1, 20))], {"gold-y": words(1, 20)}) == {"y": "gold-y"}


def test_among_what_is_known_copies_are_nobodys_business() -> None:
    assert after([candidate("x", words(50, 60))], {"a": words(1, 20), "b": words(1, 20)}) == {"x": None}
    assert after([]) == {}


def test_an_id_that_looks_like_the_name_of_a_known_text_does_not_take_its_place() -> None:
    text = words(1, 20)
    assert after([candidate("gold g", words(50, 60)), candidate("x", text)], {"gold g": text}) == {
        "gold g": None,
        "x": "g",
    }


@pytest.mark.parametrize("kind", ["duplicates", "balance"])
def test_a_quantile_has_nothing_to_be_a_quantile_of(kind: str) -> None:
    key = {"duplicates": "max_similarity", "balance": "max_ties"}[kind]
    data = {"seed": "starter:labeled", "pool": "starter:unlabeled", "gold": "starter:gold"}
    schedule = {"schedule": "quantile", "start": 0.5, "end": 0.5}
    with pytest.raises(ConfigError, match=rf"{key}.*quantile"):
        parse_config({"model": "none", "data": data, "filters": [{"kind": kind, key: schedule}]})


def grams(text: str) -> set[tuple[str, ...]]:
    parts = text.split()
    return {tuple(parts[i : i + 3]) for i in range(max(len(parts) - 2, 1))}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9), st.sampled_from([0.2, 0.5, 0.9])), max_size=7),
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9)), max_size=2),
    st.sampled_from([0.0, 0.3, 0.6]),
)
def test_what_is_kept_is_no_copy_and_what_is_dropped_is_one(
    shapes: list[tuple[int, int, float]], before: list[tuple[int, int]], limit: float
) -> None:
    items = [candidate(f"n{i}", words(at, at + size), sure) for i, (at, size, sure) in enumerate(shapes)]
    known = {f"known{i}": words(at, at + size) for i, (at, size) in enumerate(before)}
    texts = {c.comparison.id: c.comparison.prompt_text for c in items}
    told = after(items, known, limit)
    kept = {name: texts[name] for name, of in told.items() if of is None} | known

    def alike(one: str, other: str) -> float:
        first, second = grams(one), grams(other)
        return len(first & second) / len(first | second)

    for name, of in told.items():
        others = [other for other in kept if other != name and alike(kept[other], texts[name]) > limit]
        assert (of is None) == (not others)
        assert of is None or of in others


def shared(name: str, a: str, b: str, confidence: float = 0.9) -> Candidate:
    decided = decide(name, [vote(Outcome.A, order) for order in Order])
    return Candidate(Comparison(name, (Message("user", words(1, 30)),), (a, b)), decided, confidence)


def test_comparisons_that_share_a_prompt_and_one_response_are_no_copies() -> None:
    one, two, three = words(100, 108), words(200, 208), words(300, 308)
    first = shared("x", one, two)
    assert after([first, shared("y", one, three, 0.8), shared("z", three, two, 0.7)]) == dict.fromkeys("xyz")
    assert after([first, shared("y", f"{two} today", one, 0.8)]) == {"x": None, "y": "x"}, "in either order"
    both = shared("y", one, one, 0.8)
    assert after([first, both]) == {"x": None, "y": None}, "one response cannot stand for two"


def test_of_what_is_learnt_both_responses_count_and_of_gold_the_text_as_a_whole() -> None:
    one, two, three = words(100, 108), words(200, 208), words(300, 308)
    earlier = shared("s", one, two).comparison

    def left(candidate: Candidate, **known: Any) -> bool:
        (found,) = Duplicates(max_similarity=0.5).review([candidate], FilterContext(**known))
        return found is candidate

    assert left(shared("x", one, three), learnt={"seed s": earlier})
    assert not left(shared("x", two, one), learnt={"seed s": earlier})
    assert not left(shared("x", one, three), known={"gold s": text_of(earlier)})
