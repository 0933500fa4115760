"""Subsets, parts and overlap of data sets."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from gramr2.comparison import Comparison, LabeledComparison, folded
from gramr2.errors import DataError
from gramr2.randomness import fraction

T = TypeVar("T")


def subset(items: Sequence[T], n: int, seed: int, key: Callable[[T], str] = attrgetter("id")) -> tuple[T, ...]:
    """``n`` of the items (all if there are fewer), the same ones whatever their order, returned in the order given."""
    chosen = sorted(range(len(items)), key=lambda i: (fraction(seed, "subset", key(items[i])), key(items[i])))
    return tuple(items[i] for i in sorted(chosen[: max(n, 0)]))


def whole_prompts(items: Sequence[LabeledComparison], n: int, seed: int) -> tuple[LabeledComparison, ...]:
    """Up to ``n`` of the items, all or none of each prompt, returned in the order given; ``subset`` if no prompt is shared."""
    prompts = [folded(item.comparison.prompt_text) for item in items]
    drawn = sorted(
        range(len(items)), key=lambda i: (fraction(seed, "subset", items[i].comparison.id), items[i].comparison.id)
    )
    chosen = _fitting(dict.fromkeys(prompts[i] for i in drawn), Counter(prompts), n)
    return tuple(item for item, prompt in zip(items, prompts, strict=True) if prompt in chosen)


def in_part(comparison: Comparison, low: float, high: float) -> bool:
    """Whether the comparison's prompt hashes to [``low``, ``high``) within [0, 1): comparisons with the same prompt (case and
    white space folded) are always in the same part, whatever their file or order."""
    return low <= fraction(0, "part", folded(comparison.prompt_text)) < high


def prompt_key(comparison: Comparison) -> str:
    """What comparisons of the same prompt have in common: its text, with case and white space folded."""
    return folded(comparison.prompt_text)


def split_by_prompt(
    items: Sequence[LabeledComparison], share: float, seed: int
) -> tuple[tuple[LabeledComparison, ...], tuple[LabeledComparison, ...]]:
    """The items in two parts without a common prompt, the second with about ``share`` of them, whatever their order."""
    prompts = [folded(item.comparison.prompt_text) for item in items]
    drawn = sorted(set(prompts), key=lambda text: (fraction(seed, "split", text), text))
    second = _fitting(drawn, Counter(prompts), round(share * len(items)))
    pairs = list(zip(items, prompts, strict=True))
    return (
        tuple(item for item, prompt in pairs if prompt not in second),
        tuple(item for item, prompt in pairs if prompt in second),
    )


def _fitting(prompts: Iterable[str], sizes: Mapping[str, int], most: int) -> set[str]:
    """The prompts, in the order given, whose items together are at most ``most``; one that does not fit is passed over."""
    chosen: set[str] = set()
    for prompt in prompts:
        if sizes[prompt] <= most:
            chosen.add(prompt)
            most -= sizes[prompt]
    return chosen


def overlap(a: Iterable[Comparison], b: Iterable[Comparison]) -> list[tuple[str, str]]:
    """Pairs of ids (one of a, one of b) with the same prompt and the same two responses, in either order.

    Case and white space are ignored: it finds copies, not paraphrases.
    """
    known: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for each in a:
        known[_content(each)].append(each.id)
    return [(name, each.id) for each in b for name in known.get(_content(each), ())]


def refuse_leaks(
    measured: Iterable[Comparison | LabeledComparison],
    learnt: Iterable[Comparison | LabeledComparison],
    *,
    of: str,
    where: str,
) -> None:
    """Refuse comparisons that are both learnt from and measured on; copies are those that ``overlap`` finds.

    Args:
        measured: comparisons to measure on.
        learnt: comparisons to learn from.
        of: what the message calls the first.
        where: what the message calls the second.

    Raises:
        DataError: some comparisons are in both.
    """
    leaks = overlap(map(_bare, learnt), map(_bare, measured))
    if leaks:
        raise DataError(
            f"{len(leaks)} comparisons of {of} are also in {where} (the first: {leaks[0][1]!r}): remove them from one of the "
            "two, or the accuracy on them means nothing"
        )


def without_copies(
    items: Sequence[LabeledComparison], of: Iterable[LabeledComparison]
) -> tuple[LabeledComparison, ...]:
    """The items but for copies, which ``overlap`` finds, of comparisons that must not be learnt."""
    copies = {name for _, name in overlap(map(_bare, of), map(_bare, items))}
    return tuple(item for item in items if item.comparison.id not in copies)


def near_duplicates(
    texts_a: Mapping[str, str], texts_b: Mapping[str, str], threshold: float = 0.6
) -> list[tuple[str, str, float]]:
    """Pairs of keys whose texts share at least ``threshold`` of their word 3-grams (Jaccard), sorted by keys.

    A text of one or two words is one gram of that length.
    """
    grams_a = {key: _grams(text) for key, text in texts_a.items()}
    times = Counter(gram for grams in grams_a.values() for gram in grams)

    def telling(grams: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The rarest grams: of texts that share enough, one of these is shared too (Chaudhuri et al., 2006)."""
        fewest = math.ceil(threshold * len(grams) - 1e-9)
        return sorted(grams, key=lambda gram: (times[gram], gram))[: len(grams) - fewest + 1]

    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, grams in grams_a.items():
        for gram in telling(grams):
            index[gram].append(key)
    found: list[tuple[str, str, float]] = []
    for other, text in texts_b.items():
        grams = _grams(text)
        for key in {key for gram in telling(grams) for key in index.get(gram, ())}:
            overlapping = _jaccard(grams, grams_a[key])
            if overlapping >= threshold:
                found.append((key, other, overlapping))
    return sorted(found)


def similarity(a: str, b: str) -> float:
    """The share of their word 3-grams that two texts have in common (Jaccard), as in ``near_duplicates``; 1 if neither has a
    word."""
    return _jaccard(_grams(a), _grams(b))


def _jaccard(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if a or b else 1.0


def _bare(item: Comparison | LabeledComparison) -> Comparison:
    return item if isinstance(item, Comparison) else item.comparison


def _content(comparison: Comparison) -> tuple[str, frozenset[str]]:
    return folded(comparison.prompt_text), frozenset(map(folded, comparison.responses))


def _grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} if words else set()
