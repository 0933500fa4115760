"""Which items of a benchmark share text with training data: word 13-grams, and near duplicates by MinHash; no torch.

13-grams are those of GPT-3 (Brown et al., 2020, appendix C): words without case and punctuation. The whole of a text of 8 to 12
words is one gram, and a shorter one has none. Near duplicates are texts whose word 3-grams overlap (Jaccard); MinHash finds
the candidates (Broder, 1997), and what is told of each is exact.

The benchmark is indexed and the training data pass by, so memory grows with the benchmark and not with what is trained on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gramr2.comparison import Comparison
from gramr2.evaluation.benchmarks.items import Pair
from gramr2.evaluation.benchmarks.loading import LoadedBenchmark
from gramr2.evaluation.overlaps import PROMPT, RESPONSES, Index, Limits, Match, texts_of
from gramr2.hashing import text_hash

Placed = tuple[str, Comparison]
"""a comparison and where it stands, such as “file:line”"""

FIRST = 80
"""characters of a text that is shown"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A benchmark item that was found, and by which of its texts (``matched``)."""

    id: str
    where: str
    digest: str
    matched: tuple[str, ...]
    fields: dict[str, Match]
    text: str

    @property
    def by_response(self) -> bool:
        """Whether a response was found, which tells more than a prompt: many data sets share prompts."""
        return any(name in RESPONSES for name in self.matched)

    @property
    def worst(self) -> tuple[str, Match]:
        """The text that shares most, a response before the prompt."""
        name = max(self.matched, key=lambda each: (each in RESPONSES, self.fields[each].amount, each))
        return name, self.fields[name]

    @property
    def rank(self) -> tuple[bool, float, str, str]:
        """Its place among others, the worst first: responses before prompts, then what shares most."""
        return not self.by_response, -self.worst[1].amount, self.id, self.where

    def row(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Contamination:
    """What was found of a benchmark; ``found`` begins with the worst.

    ``overlapping`` items share any 13-gram that is not common (GPT-3's measure), ``grams`` at least the limit's share,
    ``near`` are near duplicates. Of ``short`` items both responses are too short to be compared.
    """

    n: int
    overlapping: int
    grams: int
    near: int
    short: int
    found: tuple[Finding, ...]

    @property
    def rate(self) -> float:
        """The share of items that were found."""
        return len(self.found) / self.n if self.n else 0.0

    def summary(self) -> dict[str, int | float]:
        """The numbers without the items."""
        return {
            "n": self.n,
            "overlapping": self.overlapping,
            "grams": self.grams,
            "near": self.near,
            "short": self.short,
            "found": len(self.found),
            "by_prompt": sum(PROMPT in each.matched for each in self.found),
            "by_response": sum(each.by_response for each in self.found),
            "rate": round(self.rate, 4),
        }


def contamination(
    train: Iterable[Placed], benchmarks: Mapping[str, Sequence[Placed]], limits: Limits | None = None
) -> dict[str, Contamination]:
    """What of each benchmark occurs in the training data, which are read once and need not fit into memory.

    The 13-grams of a text are looked for in prompts and responses alike; those that a response has from its own prompt do not
    count. Near duplicates are of the same kind. The order of the data does not change the result.
    """
    limits = limits or Limits()
    index = Index(limits)
    numbers = {name: index.add([comparison for _, comparison in placed]) for name, placed in benchmarks.items()}
    for where, comparison in train:
        index.look(where, comparison)
    told = {
        name: [
            (_finding(where, comparison, index.matches(number), limits), index.short(number))
            for number, (where, comparison) in zip(numbers[name], placed, strict=True)
        ]
        for name, placed in benchmarks.items()
    }
    return {name: _summed(each, limits) for name, each in told.items()}


def placed_items(loaded: LoadedBenchmark) -> list[Placed]:
    """The items of a named benchmark, to be looked for. A set of responses counts as so many pairs as hold each of them once; of
    an odd number the last stands beside an empty one."""
    found: list[Placed] = []
    for item in loaded.items:
        where = f"{loaded.benchmark.name} {item.id}"
        if isinstance(item, Pair):
            found.append((where, item.comparison))
            continue
        texts = item.responses.responses
        for place in range(0, len(texts), 2):
            name = item.id if place == 0 else f"{item.id}#{place // 2 + 1}"
            pair = (texts[place], texts[place + 1] if place + 1 < len(texts) else "")
            found.append((where, Comparison(name, item.responses.prompt, pair, item.category, group=item.group)))
    return found


def digest_of_texts(comparison: Comparison) -> str:
    """16 hex digits over prompt and responses, whichever response comes first."""
    prompt, *responses = (text for _, text in texts_of(comparison))
    return text_hash(json.dumps([prompt, *sorted(responses)]), 8)


def _finding(where: str, comparison: Comparison, matches: dict[str, Match], limits: Limits) -> Finding:
    matched = tuple(
        field
        for field, match in matches.items()
        if field in limits.fields and (_by_grams(match, limits) or match.similarity is not None)
    )
    told = matched[-1] if matched else PROMPT
    text = " ".join(dict(texts_of(comparison))[told].split())[:FIRST]
    return Finding(comparison.id, where, digest_of_texts(comparison), matched, matches, text)


def _by_grams(match: Match, limits: Limits) -> bool:
    return match.share is not None and match.share >= limits.share


def _summed(told: Sequence[tuple[Finding, bool]], limits: Limits) -> Contamination:
    def count(has: Callable[[Match], bool]) -> int:
        return sum(any(has(match) for match in each.fields.values()) for each, _ in told)

    found = [each for each, _ in told if each.matched]
    return Contamination(
        n=len(told),
        overlapping=count(lambda match: match.seen > 0),
        grams=count(lambda match: _by_grams(match, limits)),
        near=count(lambda match: match.similarity is not None),
        short=sum(short for _, short in told),
        found=tuple(sorted(found, key=lambda each: each.rank)),
    )
