"""Addressed randomness, subsets, overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.data import in_part, near_duplicates, overlap, split_by_prompt, subset, whole_prompts
from gramr2.randomness import derive_seed, fraction


def test_addresses_are_stable_and_distinct() -> None:
    assert fraction(0, "a", 1) == fraction(0, "a", 1)
    assert len({derive_seed(s, a, b) for s in (0, 1) for a in "ab" for b in range(50)}) == 200
    assert fraction(0, "a", "b") != fraction(0, "ab")
    mean = sum(fraction(1, i) for i in range(2000)) / 2000
    assert 0.47 < mean < 0.53


@given(st.lists(st.text(max_size=4), unique=True), st.integers(0, 10), st.randoms())
def test_a_subset_does_not_depend_on_the_order(items: list[str], n: int, rng: object) -> None:
    chosen = subset(items, n, 3, key=str)
    shuffled = sorted(items)
    assert set(subset(shuffled, n, 3, key=str)) == set(chosen)
    assert len(chosen) == min(n, len(items))
    assert list(chosen) == [item for item in items if item in set(chosen)]


def test_overlap_sees_swapped_and_recased_copies() -> None:
    one = make("1", a="Yes  it is", b="No")
    copy = make("1", a="no", b="yes it is")
    assert overlap([one], [copy, make("other")]) == [("1", "1")]


def test_near_duplicates() -> None:
    texts = {"a": "the cat sat on the mat today", "b": "something else entirely is here"}
    assert [(x, y) for x, y, _ in near_duplicates(texts, {"c": "The cat sat on the mat"}, 0.5)] == [("a", "c")]
    assert not near_duplicates(texts, {"c": "no"}, 0.1)


@given(st.text(max_size=20), st.floats(0.01, 0.99))
def test_a_prompt_is_in_one_of_two_parts_whatever_the_responses(prompt: str, border: float) -> None:
    def parts(prompt: str, answer: str) -> list[bool]:
        asked = Comparison(answer, (Message("user", prompt),), (answer, ""))
        return [in_part(asked, *part) for part in ((0.0, border), (border, 1.0))]

    assert sum(parts(prompt, "x")) == 1
    assert parts(prompt, "x") == parts(prompt, "y") == parts(f" {prompt}\n", "z")


def test_a_part_has_about_its_share() -> None:
    inside = sum(in_part(make(str(i)), 0.2, 0.5) for i in range(2000))
    assert 540 < inside < 660


@given(
    st.lists(st.tuples(st.sampled_from("pqrstuvw"), st.integers(0, 999)), unique=True, max_size=40),
    st.floats(0.05, 0.9),
)
def test_a_split_shares_no_prompt_and_does_not_depend_on_the_order(drawn: list[tuple[str, int]], share: float) -> None:
    items = [LabeledComparison(Comparison(f"{p}{i}", (Message("user", p),), (str(i), "x")), Label.A) for p, i in drawn]
    first, second = split_by_prompt(items, share, 3)
    assert {*first, *second} == {*items} and len(first) + len(second) == len(items)
    assert not {i.comparison.prompt for i in first} & {i.comparison.prompt for i in second}
    assert len(second) <= round(share * len(items))
    assert {*split_by_prompt(items[::-1], share, 3)[1]} == {*second}


@given(
    st.lists(st.tuples(st.sampled_from("pqrstuvw"), st.integers(0, 999)), unique=True, max_size=40), st.integers(0, 40)
)
def test_whole_prompts_takes_all_of_a_prompt_or_none_and_as_many_as_fit(rows: list[tuple[str, int]], n: int) -> None:
    items = [_labelled(f"{prompt}{number}", prompt) for prompt, number in rows]
    chosen = whole_prompts(items, n, 1)
    taken = {item.comparison.prompt_text for item in chosen}
    assert list(chosen) == [item for item in items if item.comparison.prompt_text in taken]
    assert len(chosen) <= n
    sizes = [sum(prompt == each for prompt, _ in rows) for each in {p for p, _ in rows} - taken]
    assert all(len(chosen) + size > n for size in sizes)


@given(st.sets(st.integers(0, 999), max_size=30), st.integers(0, 30))
def test_where_no_prompt_is_shared_whole_prompts_is_the_subset(numbers: set[int], n: int) -> None:
    items = [_labelled(str(number), f"prompt {number}") for number in sorted(numbers)]
    assert whole_prompts(items, n, 5) == subset(items, n, 5, key=lambda item: item.comparison.id)


def _labelled(name: str, prompt: str) -> LabeledComparison:
    return LabeledComparison(Comparison(name, (Message("user", prompt),), (f"a{name}", "b")), Label.A)


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), max_size=6),
    st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]),
)
def test_near_duplicates_misses_none(texts: list[str], threshold: float) -> None:
    def grams(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} if words else set()

    keyed = {str(i): text for i, text in enumerate(texts)}
    wanted = [
        (x, y)
        for x, one in keyed.items()
        for y, other in keyed.items()
        if (both := grams(one) & grams(other)) and len(both) / len(grams(one) | grams(other)) >= threshold
    ]
    assert [(x, y) for x, y, _ in near_duplicates(keyed, keyed, threshold)] == sorted(wanted)
