"""Benchmark items in training data: copies are found, paraphrases and common phrases are not."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison
from gramr2.data import near_duplicates
from gramr2.evaluation.contamination import Contamination, Finding, contamination, digest_of_texts
from gramr2.evaluation.overlaps import PROMPT, RESPONSES, Limits

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]


def prose(seed: int, count: int = 40) -> str:
    """A text of random words."""
    drawn = random.Random(seed)
    return " ".join(drawn.choices(VOCABULARY, k=count))


def pair(name: str, prompt: str = "", a: str = "", b: str = "") -> Comparison:
    """A comparison whose texts are its own unless they are given."""
    own = random.Random(name).randrange(1 << 30)
    return Comparison.of(prompt or prose(own), a or prose(own + 1), b or prose(own + 2), id=name)


def found(train: list[Comparison], bench: list[Comparison], **limits: Any) -> Contamination:
    placed = [(f"train.jsonl:{number}", each) for number, each in enumerate(train, 1)]
    benchmark = [(f"bench.jsonl:{number}", each) for number, each in enumerate(bench, 1)]
    return contamination(placed, {"bench": benchmark}, Limits(**limits))["bench"]


def only(result: Contamination) -> Finding:
    (finding,) = result.found
    return finding


OTHERS = [pair(f"other {number}") for number in range(30)]
ITEM = pair("item")


def test_nothing_in_common() -> None:
    result = found(OTHERS, [ITEM, pair("second")])
    assert result == Contamination(n=2, overlapping=0, grams=0, near=0, short=0, found=())
    assert result.rate == 0


@pytest.mark.parametrize("field", [PROMPT, *RESPONSES])
def test_a_planted_copy_is_found_with_its_place(field: str) -> None:
    text = {PROMPT: ITEM.prompt_text, "response_a": ITEM.responses[0], "response_b": ITEM.responses[1]}[field]
    planted = pair("leak", prompt=text.upper()) if field == PROMPT else pair("leak", b=f"“{text}”")
    finding = only(found([*OTHERS, planted], [pair("clean"), ITEM]))
    assert (finding.id, finding.where, finding.matched) == ("item", "bench.jsonl:2", (field,))
    match = finding.fields[field]
    assert (match.share, match.similarity, match.grams, match.seen, match.common) == (1.0, 1.0, 28, 28, 0)
    assert match.train is not None
    assert match.train == match.near == match.best
    assert (match.train.id, match.train.where) == ("leak", "train.jsonl:31")
    assert match.train.field == (PROMPT if field == PROMPT else "response_b")
    assert finding.by_response is (field != PROMPT)
    assert finding.text == text[:80]


def test_a_copy_inside_a_longer_text_is_found_by_its_grams_alone() -> None:
    planted = pair("leak", a=f"{prose(1, 100)} {ITEM.responses[0]} {prose(2, 100)}")
    result = found([planted], [ITEM])
    match = only(result).fields["response_a"]
    assert (match.share, match.similarity, match.near) == (1.0, None, None)
    assert (result.overlapping, result.grams, result.near) == (1, 1, 0)


def test_a_response_may_stand_in_a_training_prompt() -> None:
    match = only(found([pair("leak", prompt=f"Is this right? {ITEM.responses[1]}")], [ITEM])).fields["response_b"]
    assert match.train is not None
    assert (match.share, match.train.field) == (1.0, PROMPT)


def test_a_text_with_a_few_other_words_is_a_near_duplicate() -> None:
    drawn = ITEM.responses[0].split()
    drawn[9], drawn[19], drawn[29] = "one", "two", "three"
    match = only(found([pair("leak", a=" ".join(drawn))], [ITEM], similarity=0.6)).fields["response_a"]
    assert match.share == 0.0, "no thirteen words in a row are the same"
    assert match.similarity == pytest.approx(29 / 47, abs=1e-4)


def test_a_paraphrase_is_not_found() -> None:
    original = (
        "The lake of Garda, in the north of Italy, is the largest of the country, and its water is clear and cold."
    )
    paraphrase = (
        "Italy's biggest lake is called Garda; it lies in the country's north, and the water there is cold and clear."
    )
    result = found([pair("leak", a=paraphrase)], [pair("item", a=original)])
    assert (result.found, result.overlapping) == ((), 0)


def test_a_phrase_in_common_is_no_copy() -> None:
    phrase = "I am sorry, but as a language model I cannot help you with that, so please ask somebody else."
    item = pair("item", a=f"{phrase} {prose(1, 60)}")
    result = found([pair("other", b=f"{phrase} {prose(2, 60)}")], [item])
    assert (result.found, result.overlapping) == ((), 1), "it shares a 13-gram, but few of its own"


@pytest.mark.parametrize("where", ["training", "benchmark"])
def test_what_stands_under_many_prompts_is_a_common_phrase(where: str) -> None:
    refusal = "Sorry, but I cannot help you with this request."
    many = [pair(f"m{number}", a=refusal) for number in range(11)]
    few = [pair("one", a=refusal)]
    train, bench = (many, few) if where == "training" else (few, many)
    assert found(train, bench).found == ()
    match = found(train, bench, common=11).found[0].fields["response_a"]
    assert (match.share, match.similarity, match.common) == (1.0, 1.0, 0)
    same = [pair(f"s{number}", prompt="One prompt for all of these.", a=refusal) for number in range(20)]
    assert len(found(same, few).found) == 1, "one prompt is one occurrence, however many comparisons have it"


def test_a_prompt_like_many_is_still_found_if_it_is_a_copy() -> None:
    template = (
        "Here is a function of Python and an assertion; complete the assertion with the literal that it returns. {}"
    )
    train = [pair(f"t{number}", prompt=template.format(number)) for number in range(40)]
    result = found(train, [pair("copy", prompt=template.format(7)), pair("new", prompt=template.format(99))])
    finding = only(result)
    near = finding.fields[PROMPT].near
    assert (finding.id, finding.fields[PROMPT].similarity, near and near.id) == ("copy", 1.0, "t7")


def test_a_response_that_repeats_its_prompt_is_found_by_the_prompt() -> None:
    prompt = prose(5, 60)
    item = pair("item", prompt=prompt, a=f"{prompt} So: {prose(6, 5)}")
    finding = only(found([pair("leak", prompt=prompt)], [item]))
    assert finding.matched == (PROMPT,)
    assert finding.fields["response_a"].grams == 6


@pytest.mark.parametrize(("count", "grams"), [(7, 0), (8, 1), (12, 1), (13, 1), (14, 2)])
def test_a_short_text_is_one_gram_and_a_shorter_one_none(count: int, grams: int) -> None:
    text = prose(3, count)
    planted = [pair("leak", a=f"{prose(4, 50)} {text} {prose(5, 50)}")]
    result = found(planted, [pair("item", a=text, b="Yes.")])
    assert result.short == (count < 8)
    assert len(result.found) == (grams > 0)
    if grams:
        match = only(result).fields["response_a"]
        assert (match.grams, match.seen) == (grams, grams)
    copies = [pair("copy", a=text, b="Yes.")]
    assert len(found(copies, [pair("item", a=text, b="Yes.")]).found) == (count >= 8), (
        "short answers occur twice by chance"
    )


def test_a_short_prompt_is_compared_as_a_whole() -> None:
    assert only(found([pair("leak", prompt="what is 17 + 25")], [pair("item", prompt="What is 17+25?")])).matched == (
        PROMPT,
    )
    assert found([pair("leak", prompt="What is 17 + 26?")], [pair("item", prompt="What is 17+25?")]).found == ()
    assert found([pair("leak", prompt="Hello!")], [pair("item", prompt="hello")]).found == ()


def test_only_the_texts_asked_for_count() -> None:
    train = [pair("p", prompt=ITEM.prompt_text), pair("r", a=pair("second").responses[1])]
    bench = [ITEM, pair("second")]
    assert [each.id for each in found(train, bench).found] == ["second", "item"], "a response is worse than a prompt"
    assert [each.id for each in found(train, bench, fields=(PROMPT,)).found] == ["item"]
    assert [each.id for each in found(train, bench, fields=RESPONSES).found] == ["second"]
    summary = found(train, bench).summary()
    assert (summary["found"], summary["by_prompt"], summary["by_response"], summary["rate"]) == (2, 1, 1, 1.0)


def test_the_share_decides() -> None:
    half = " ".join(ITEM.responses[0].split()[:26])
    train = [pair("leak", a=f"{half} {prose(1, 60)}")]
    assert only(found(train, [ITEM])).fields["response_a"].share == 0.5
    result = found(train, [ITEM], share=0.51)
    assert (result.found, result.overlapping, result.grams) == ((), 1, 0)


def test_each_benchmark_has_its_own_result() -> None:
    train = [("t:1", pair("leak", a=ITEM.responses[0]))]
    both = contamination(train, {"a": [("a:1", ITEM)], "b": [("b:1", pair("clean")), ("b:2", ITEM)], "c": []})
    assert [(each.n, len(each.found)) for each in both.values()] == [(1, 1), (2, 1), (0, 0)]
    assert both["c"].rate == 0.0


def rows(result: Contamination) -> list[dict[str, Any]]:
    return [each.row() for each in result.found]


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_data_does_not_matter(order: random.Random) -> None:
    """Many copies under more and fewer prompts than the limit, in any order."""
    phrase = prose(9, 20)
    train = [
        *(pair(f"p{number}", a=f"{phrase} {prose(number)}") for number in range(12)),
        *(
            pair(f"q{number}", prompt=f"{ITEM.prompt_text} {number}", b=ITEM.responses[number % 2])
            for number in range(4)
        ),
    ]
    bench = [ITEM, pair("phrase", a=f"{phrase} {prose(100, 6)}"), pair("clean")]
    placed = [(each.id, each) for each in train]
    expected = contamination(placed, {"b": [(each.id, each) for each in bench]})["b"]
    order.shuffle(placed)
    order.shuffle(bench)
    shuffled = contamination(placed, {"b": [(each.id, each) for each in bench]})["b"]
    assert (rows(shuffled), shuffled.summary()) == (rows(expected), expected.summary())
    assert [each.id for each in expected.found] == ["item"]


@given(st.lists(st.text(alphabet=st.characters(codec=None), max_size=80), min_size=3, max_size=3))
def test_hostile_text_is_compared_like_any_other(texts: list[str]) -> None:
    item = Comparison.of(texts[0], texts[1], texts[2], id="i")
    result = found([item, ITEM], [item])
    assert result.found or result.near == result.grams == 0
    assert result.n == 1
    for finding in result.found:
        assert all(each.share is None or 0 <= each.share <= 1 for each in finding.fields.values())
    assert digest_of_texts(item) == digest_of_texts(item.swap())


def test_near_duplicates_are_those_that_an_exact_search_finds() -> None:
    """MinHash only proposes: nothing that it proposes wrongly is told, and little is missed."""
    drawn = random.Random(1)
    bench, train = [], []
    for number in range(60):
        text = prose(number, 60).split()
        bench.append(pair(f"b{number}", a=" ".join(text)))
        for changed in (0, 1, 2, 3, 5):
            copy = list(text)
            for place in drawn.sample(range(60), changed):
                copy[place] = "changed"
            train.append(pair(f"t{number}-{changed}", a=" ".join(copy)))
    result = found(train, bench, share=1.0, similarity=0.6)
    exact: dict[str, float] = {}
    pairs = near_duplicates({t.id: t.responses[0] for t in train}, {b.id: b.responses[0] for b in bench}, 0.6)
    for _, item, similarity in pairs:
        exact[item] = max(similarity, exact.get(item, 0.0))
    assert {each.id: each.fields["response_a"].similarity for each in result.found} == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("similarity", [0.3, 0.6, 0.8, 0.9])
def test_texts_just_similar_enough_are_found_nearly_always(similarity: float) -> None:
    bench, train = [], []
    for number in range(150):
        # Sets of shingles that overlap as much: a common beginning, and ends of their own.
        common = prose(number, 102)
        rest = round(100 * (1 - similarity) / (2 * similarity))
        bench.append(pair(f"b{number}", a=f"{common} {prose(1000 + number, rest)}"))
        train.append(pair(f"t{number}", a=f"{common} {prose(2000 + number, rest)}"))
    exact = near_duplicates(
        {t.id: t.responses[0] for t in train}, {b.id: b.responses[0] for b in bench}, similarity - 0.02
    )
    near = found(train, bench, share=1.0, similarity=similarity - 0.02).near
    assert len(exact) >= 140
    assert near >= 0.95 * len(exact)


def test_a_digest_is_of_the_texts() -> None:
    other = Comparison.of("p", "a", "b", id="x")
    assert digest_of_texts(other) == digest_of_texts(Comparison.of("p", "b", "a", id="y"))
    assert (
        len({digest_of_texts(Comparison.of(*texts)) for texts in [("p", "a", "b"), ("p", "a", "c"), ("q", "a", "b")]})
        == 3
    )


def test_no_torch() -> None:
    code = "import sys, gramr2.evaluation.leaving_out; assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
