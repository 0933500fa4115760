"""Texts as 64-bit hashes of their runs of words, the same on every machine; no torch.

A word is a run of letters and digits with the marks on them (accents, vowel signs), without case and punctuation. Of scripts that
write no spaces between words (Chinese, Japanese, Thai …) each character is a word, and what is longer than 64 characters is
several.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_LETTER = rf"[^\W_{_UNSPACED}]"
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTER}{{1,64}}")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
# One less than it is divisible by two only once: each further factor of two would lose a bit where words change places.
_STEP = np.uint64(0x9E3779B97F4A7C17)


def words(text: str) -> Hashes:
    """The hash of every word of a text, in their order; shape (words,)."""
    plain = text.lower() if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    found = _word_of(plain).findall(plain)
    return np.fromiter(map(_hash, found), np.uint64, len(found))


def grams(hashes: Hashes, sizes: Collection[int]) -> dict[int, Hashes]:
    """By size, the hash of every run of so many words (at least 1); shape (words - size + 1,).

    Sizes that are more than there are words are left out.
    """
    found: dict[int, Hashes] = {}
    longest = max((size for size in sizes if size <= len(hashes)), default=0)
    runs = hashes[:0]
    for size in range(1, longest + 1):
        runs = hashes if size == 1 else runs[:-1] * _STEP + hashes[size - 1 :]
        if size in sizes:
            found[size] = runs
    return found


def whole(hashes: Hashes) -> int:
    """One hash of all words in their order."""
    return int.from_bytes(hashlib.blake2b(hashes.tobytes(), digest_size=8).digest(), "little")


def jaccard(a: Hashes, b: Hashes) -> float:
    """The share that two sorted sets have in common; 0 if both are empty."""
    shared = np.intersect1d(a, b, assume_unique=True).size
    return shared / max(a.size + b.size - shared, 1)


def _word_of(plain: str) -> re.Pattern[str]:
    if plain.isascii():
        return _WORD
    mark, marked = _with_marks()
    return marked if mark.search(plain) else _WORD


@cache
def _with_marks() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A combining mark, and a word that may have some: for ``re`` a mark is no part of a word. Slower than without."""
    marks = "".join(char for char in map(chr, range(0x300, 0x1F000)) if unicodedata.category(char) in ("Mn", "Mc"))
    return re.compile(f"[{marks}]"), re.compile(rf"[{_UNSPACED}]|{_LETTER}(?:{_LETTER}|[{marks}]){{0,63}}")


@lru_cache(maxsize=1 << 17)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
