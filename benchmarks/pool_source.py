"""Comparisons of one source with their features, as inner products of differences; what ``pool_view.py`` learns from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from gramr2.comparison import Comparison, Label, LabeledComparison, Message


def key(prompt: Sequence[Message], response: str) -> str:
    """The address of a response to a prompt in the shards."""
    content = json.dumps([[[turn.role, str(turn.content)] for turn in prompt], str(response)])
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()


def group_of(comparison: Comparison) -> str:
    """What is not cut in two: the group, or the prompt."""
    return comparison.group or key(comparison.prompt, "")


def halves(groups: Sequence[str]) -> dict[str, set[str]]:
    """Two sets of groups with about as many comparisons each."""
    names = sorted(set(groups))
    np.random.default_rng(0).shuffle(names)
    chosen: set[str] = set()
    for name in names:
        if sum(each in chosen for each in groups) < len(groups) / 2:
            chosen.add(name)
    return {"choose": chosen, "confirm": set(names) - chosen}


class Source:
    """Labelled comparisons and then unlabelled ones; those without features in the shards are left out.

    A block of features has one row a response. Its standard deviations are those of the unlabelled file, which no test
    comparison is in, and a difference is divided by them and by the root of the number of features.
    """

    def __init__(self, labeled: Sequence[LabeledComparison], pool: Sequence[Comparison], features: Path) -> None:
        self._folder = features
        keys, self._shards = self._read("states")
        row = {name: i for i, name in enumerate(keys)}

        def there(each: Comparison) -> bool:
            return all(key(each.prompt, response) in row for response in each.responses)

        self.items = [item for item in labeled if there(item.comparison)]
        self.comparisons = [*(item.comparison for item in self.items), *filter(there, pool)]
        self.labeled, self.size = len(self.items), len(self.comparisons)
        self.groups = [group_of(item.comparison) for item in self.items]
        self.signs = np.array([{Label.A: 1.0, Label.B: -1.0}.get(item.label, 0.0) for item in self.items])
        self._texts = [key(each.prompt, response) for each in self.comparisons for response in each.responses]
        self._rows = np.array([row[name] for name in self._texts])
        self.layers = self._shards["mean"].shape[1]

    def _read(self, kind: str) -> tuple[list[str], dict[str, np.ndarray]]:
        files = [np.load(file) for file in sorted(self._folder.glob(f"{kind}-*.npz")) if ".tmp" not in file.name]
        names = [name for name in (files[0].files if files else []) if name != "keys"]
        keys = [str(each) for file in files for each in file["keys"]]
        return keys, {name: np.concatenate([file[name] for file in files]) for name in names}

    @cached_property
    def more(self) -> dict[str, np.ndarray] | None:
        """What ``pool_features.py --more`` made, NaN for responses that it did not compute; None if it made nothing."""
        keys, shards = self._read("more")
        row = {name: i for i, name in enumerate(keys)}
        if not keys:
            return None
        at = np.array([row.get(name, -1) for name in self._texts])
        found = {name: each[at] for name, each in shards.items()}
        for each in found.values():
            each[at < 0] = np.nan
        return found

    def layer(self, number: int, what: str) -> np.ndarray:
        """A layer's means ("mean") or states at the end ("last"), shape (2 · comparisons, size)."""
        found: np.ndarray = self._shards[what][self._rows, number]
        return found

    @cached_property
    def likely(self) -> np.ndarray:
        """How likely the model finds a response, as a whole and by the token, and how long it is."""
        scores = self._shards["score"][self._rows]
        tokens = np.maximum(scores[:, 2], 1)
        characters = [len(response) for each in self.comparisons for response in each.responses]
        return np.column_stack([scores, scores[:, 0] / tokens, np.log1p(tokens), characters])

    @cached_property
    def words(self) -> np.ndarray:
        """Which words and pairs of words a response has."""
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(ngram_range=(1, 2), binary=True, min_df=3, token_pattern=r"\w+(?:'\w+)?|[^\w\s]")
        texts = [response for each in self.comparisons for response in each.responses]
        found: np.ndarray = counter.fit_transform(texts).toarray().astype(np.float32)
        return found

    def differences(self, features: np.ndarray) -> np.ndarray:
        """Standardised differences of a block, shape (comparisons, features)."""
        outside = features[2 * self.labeled :]
        known = np.isfinite(outside).any(axis=0)
        # What was computed for the seed alone has the standard deviations of the seed.
        spread = np.array(np.where(known, _spread(outside), _spread(features)))
        spread[~(spread > 0)] = 1
        return (features[0::2] - features[1::2]) / spread / np.float32(np.sqrt(features.shape[1]))

    def products(self, *blocks: Callable[[], np.ndarray]) -> np.ndarray:
        """Inner products of all differences, shape (comparisons, comparisons); the mean over blocks."""
        total = np.zeros((self.size, self.size))
        for block in blocks:
            rows = self.differences(block())
            total += (rows @ rows.T) / len(blocks)
        return total


def _spread(features: np.ndarray) -> np.ndarray:
    """Standard deviation of each column over the rows that have it; 0 where none has."""
    there = np.isfinite(features)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, features, 0).sum(axis=0) / count
    found: np.ndarray = np.sqrt(np.where(there, (features - mean) ** 2, 0).sum(axis=0) / count)
    return found
