"""An index of texts, by their word 13-grams and by MinHash of their word 3-grams, that other texts pass by; no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rensa import RMinHash, RMinHashLSH

from gramr2.comparison import Comparison
from gramr2.evaluation.shingles import Hashes, grams, jaccard, whole, words

PROMPT, RESPONSES = "prompt", ("response_a", "response_b")
FIELDS = (PROMPT, *RESPONSES)
LONGEST, SHORTEST = 13, 8
"""words of a gram; a text between the two is one gram"""
SHINGLE = 3
"""words of what near duplicates have in common, and of the shortest prompt that is compared"""
PERMUTATIONS, RECALL = 256, 0.98
"""hashes of a MinHash signature, and the share of the near duplicates just at the limit that are to be candidates"""
DOUBT = 0.15
"""how far a signature's estimate may be below the limit; at 256 hashes that is at least four standard deviations"""
_BITS = 24
"""of the table that says of most grams that they are not looked for"""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a benchmark item counts as found in the training data."""

    share: float = 0.5
    """of a text's 13-grams that occur in the training data"""
    similarity: float = 0.8
    """Jaccard overlap of word 3-grams with a training text of the same kind"""
    common: int = 10
    """what stands under more different prompts of the training data, or in responses under more different prompts of the
    benchmark, is a common phrase and no copy"""
    fields: tuple[str, ...] = FIELDS
    """texts of an item that may be found"""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A training text."""

    where: str
    id: str
    field: str


@dataclass(frozen=True, slots=True)
class Match:
    """What a text of an item shares with the training data.

    ``seen`` of its ``grams`` occur there, ``share`` is None if it has none; ``common`` ones are not counted. ``train`` has most
    of them, ``near`` is most similar.
    """

    grams: int
    seen: int
    common: int
    share: float | None
    similarity: float | None
    train: Source | None
    near: Source | None

    @property
    def amount(self) -> float:
        """The larger of both measures."""
        return max(self.share or 0.0, self.similarity or 0.0)

    @property
    def best(self) -> Source | None:
        """The training text to look at first."""
        return self.near if (self.similarity or 0.0) >= (self.share or 0.0) else self.train


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of an item as hashes: all its words, its grams of ``size`` words, and its shingles (sorted)."""

    prompt: bool
    whole: int
    size: int
    grams: frozenset[int]
    shingles: Hashes
    phrases: int = 0
    """grams that were left out, since the benchmark has them everywhere"""


class Index:
    """Texts of benchmark items, and which training texts they were seen in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._texts: list[_Text] = []
        self._wanted: dict[int, set[int]] = {}
        self._possible = np.zeros(1 << _BITS, np.bool_)
        # For each gram or text the first training text under each training prompt.
        self._seen: dict[int, dict[int, Source]] = {}
        self._near: dict[int, dict[int, tuple[float, Source]]] = {}
        self._copies: dict[int, Source | None] = {}
        self._common: set[int] = set()
        self._usual: set[int] = set()
        self._signatures: dict[int, RMinHash] = {}
        self._lsh = RMinHashLSH(limits.similarity, PERMUTATIONS, PERMUTATIONS // _rows(limits.similarity))

    def add(self, items: Sequence[Comparison]) -> range:
        """Add the items of a benchmark, before anything is looked at; returns their numbers."""
        first = len(self._texts) // len(FIELDS)
        read = [_read(item) for item in items]
        phrases, usual = self._repeated(read)
        for text in (text for each in read for text in each):
            grams = text.grams if text.prompt else text.grams - phrases
            self._texts.append(replace(text, grams=grams, phrases=len(text.grams) - len(grams)))
            if grams:
                self._wanted.setdefault(text.size, set()).update(grams)
                self._possible[_places(np.fromiter(grams, np.uint64, len(grams)))] = True
            if text.shingles.size and (text.prompt or text.whole not in usual):
                key = len(self._texts) - 1
                self._signatures[key] = _signature(text.shingles)
                self._lsh.insert(key, self._signatures[key])
            if text.shingles.size and text.prompt:
                self._copies[text.whole] = None
        return range(first, first + len(items))

    def _repeated(self, read: Sequence[Sequence[_Text]]) -> tuple[set[int], set[int]]:
        """Grams, and whole texts, of responses under many different prompts."""
        under = {(prompt.whole, text.whole): text for prompt, *responses in read for text in responses}
        grams = Counter(gram for gram, _ in {(g, of) for (of, _), text in under.items() for g in text.grams})
        texts = Counter(text for _, text in under)
        most = self._limits.common
        return {g for g, n in grams.items() if n > most}, {text for text, n in texts.items() if n > most}

    def look(self, where: str, comparison: Comparison) -> None:
        """Note what a training comparison has in common with the texts."""
        under = 0
        for field, text in texts_of(comparison):
            prompt = field == PROMPT
            hashes, source = words(text), Source(where, comparison.id, field)
            if prompt:
                under = whole(hashes)
                if under in self._copies:
                    self._copies[under] = min(source, self._copies[under] or source)
            runs = grams(hashes, {SHINGLE, *self._wanted})
            for size, wanted in self._wanted.items():
                self._look_at_grams(runs.get(size), wanted, under, source)
            self._look_at_shingles(_shingles(hashes, runs, prompt), prompt, under, source)

    def _look_at_grams(self, runs: Hashes | None, wanted: set[int], under: int, source: Source) -> None:
        if runs is None:
            return
        for gram in wanted.intersection(runs[self._possible[_places(runs)]].tolist()):
            prompts = self._seen.setdefault(gram, {})
            prompts[under] = min(source, prompts.get(under, source))
            if len(prompts) > self._limits.common:
                self._common.add(gram)
                wanted.discard(gram)
                del self._seen[gram]

    def _look_at_shingles(self, shingles: Hashes, prompt: bool, under: int, source: Source) -> None:
        if not shingles.size:
            return
        signature, least = _signature(shingles), self._limits.similarity - DOUBT
        for key in self._lsh.query(signature):
            text = self._texts[key]
            if key in self._usual or text.prompt is not prompt or signature.jaccard(self._signatures[key]) < least:
                continue
            similarity = jaccard(shingles, text.shingles)
            if similarity < self._limits.similarity:
                continue
            prompts = self._near.setdefault(key, {})
            prompts[under] = min((-similarity, source), prompts.get(under, (0.0, source)))
            if len(prompts) > self._limits.common:
                self._usual.add(key)
                del self._near[key]

    def matches(self, item: int) -> dict[str, Match]:
        """What the texts of an item share, by field."""
        first = item * len(FIELDS)
        return {field: self._match(first + place) for place, field in enumerate(FIELDS)}

    def _match(self, key: int) -> Match:
        text = self._texts[key]
        telling = text.grams - self._common
        seen = [gram for gram in telling if gram in self._seen]
        sources = Counter(source for gram in seen for source in set(self._seen[gram].values()))
        near = min(self._near.get(key, {}).values(), default=None)
        # A prompt may be like many others and still be a copy of one.
        if text.prompt and (copied := self._copies.get(text.whole)):
            near = -1.0, copied
        return Match(
            grams=len(telling),
            seen=len(seen),
            common=text.phrases + len(text.grams) - len(telling),
            share=round(len(seen) / len(telling), 4) if telling else None,
            similarity=None if near is None else round(-near[0], 4),
            train=min(sources, key=lambda source: (-sources[source], source), default=None),
            near=None if near is None else near[1],
        )

    def short(self, item: int) -> bool:
        """Whether both responses of an item are too short to be compared."""
        first = item * len(FIELDS)
        return not any(text.shingles.size for text in self._texts[first + 1 : first + len(FIELDS)])


def texts_of(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The texts of a comparison by field; turns of a prompt one after the other."""
    yield PROMPT, "\n".join(turn.content for turn in comparison.prompt)
    yield from zip(RESPONSES, comparison.responses, strict=True)


def _read(item: Comparison) -> list[_Text]:
    """The texts of an item; what a response has from its own prompt is not its own."""
    prompt, *responses = (words(text) for _, text in texts_of(item))
    found = []
    for hashes in (prompt, *responses):
        size = min(len(hashes), LONGEST)
        runs = grams(hashes, {SHINGLE, size})
        own = set(runs[size].tolist()) if size >= SHORTEST else set()
        if hashes is not prompt and own:
            own -= set(grams(prompt, {size}).get(size, prompt[:0]).tolist())
        shingles = _shingles(hashes, runs, hashes is prompt)
        found.append(_Text(hashes is prompt, whole(hashes), size, frozenset(own), shingles))
    return found


def _places(hashes: Hashes) -> npt.NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _BITS)).astype(np.int64)


def _shingles(hashes: Hashes, runs: Mapping[int, Hashes], prompt: bool) -> Hashes:
    """The sorted shingles of a text, none if it is too short: that a short answer occurs twice means nothing."""
    return np.unique(runs[SHINGLE] if len(hashes) >= (SHINGLE if prompt else SHORTEST) else hashes[:0])


def _signature(shingles: Hashes) -> RMinHash:
    found = RMinHash(num_perm=PERMUTATIONS, seed=1)
    found.update(shingles.view("V8").tolist())
    return found


def _rows(similarity: float) -> int:
    """The most rows of a band with which texts that are just similar enough become candidates often enough."""
    sizes = [PERMUTATIONS >> shift for shift in range(PERMUTATIONS.bit_length())]
    return next((r for r in sizes if 1 - (1 - similarity**r) ** (PERMUTATIONS // r) >= RECALL), 1)
