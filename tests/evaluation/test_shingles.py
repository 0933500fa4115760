"""Texts as hashes of their words: what is the same word, and that any text has some."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.evaluation.shingles import grams, jaccard, whole, words

SENTENCE = "The quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize(
    "same",
    [
        "the QUICK, brown fox – jumps over: the lazy dog!!!",
        "  The\tquick\n\nbrown fox  jumps over_the lazy dog",
        "Ｔｈｅ quick brown fox jumps over the lazy dog",
        "The qu\u00adick bro\u200bwn fox jumps over the lazy dog\ufeff",
    ],
)
def test_case_punctuation_and_spaces_do_not_matter(same: str) -> None:
    assert words(same).tolist() == words(SENTENCE).tolist()
    assert len(words(SENTENCE)) == 9


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("?!…", 0),
        ("Straße STRASSE", 2),
        ("今日は天気", 5),
        ("ฉันรัก", 6),
        ("don't", 2),
        ("x" * 130, 3),
        ("\ud800 a", 1),
        ("हिन्दी भाषा में उत्तर", 4),
        ("مَرْحَبًا بِالعَالَم", 2),
        ("İstanbul x\u0304y", 2),
        ("e\u0301t\u0300e\u0301", 1),
        ("\u0301 \u0300", 0),
        ("हि" * 40, 2),
    ],
)
def test_how_many_words(text: str, count: int) -> None:
    assert len(words(text)) == count


def test_words_differ_by_their_marks_and_texts_without_any_are_hashed_as_before() -> None:
    assert words("की")[0] != words("का")[0]
    before = {
        SENTENCE: 5282925359882662170,
        "Straße, übergroß: Ελληνικά на русском שלום": 3120716314075583246,
        "今日は天気がいい": 12394775585013420747,
    }
    assert {text: whole(words(text)) for text in before} == before


def test_other_words_and_another_order_are_other_hashes() -> None:
    texts = [
        SENTENCE,
        SENTENCE.replace("quick", "slow"),
        SENTENCE.replace("quick brown", "brown quick"),
        f"{SENTENCE} a",
    ]
    assert len({whole(words(text)) for text in texts}) == 4
    first, _, exchanged, _ = (grams(words(text), {9})[9][0] for text in texts)
    assert first != exchanged
    assert words("Straße")[0] == words("STRASSE")[0]


def test_grams_are_the_runs_of_words() -> None:
    hashes = words(SENTENCE)
    found = grams(hashes, {1, 3, 9, 13})
    assert {size: runs.shape for size, runs in found.items()} == {1: (9,), 3: (7,), 9: (1,)}
    assert found[3][5] == grams(words("over the lazy"), {3})[3][0] != grams(words("the over lazy"), {3})[3][0]
    assert grams(hashes, {3})[3].tolist() == found[3].tolist()
    assert grams(hashes[:0], {1}) == {}


def test_jaccard() -> None:
    one, other = (np.array(each, np.uint64) for each in ([1, 2, 3], [2, 3, 4]))
    assert jaccard(one, other) == 0.5
    assert (jaccard(one, one), jaccard(one, one[:0]), jaccard(one[:0], one[:0])) == (1.0, 0.0, 0.0)


def test_the_hashes_are_the_same_in_every_process() -> None:
    code = f"from gramr2.evaluation.shingles import *; print(whole(words({SENTENCE!r})))"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        )  # fmt: skip
        assert int(told.stdout) == whole(words(SENTENCE))


@given(st.text(alphabet=st.characters(codec=None), max_size=200), st.integers(1, 20))
def test_any_text_has_hashes(text: str, size: int) -> None:
    hashes = words(text)
    assert hashes.dtype == np.uint64
    runs = grams(hashes, {size})
    assert len(runs.get(size, ())) == max(len(hashes) - size + 1, 0)
    assert words(f"{text} {text}").tolist() == [*hashes.tolist(), *hashes.tolist()]
