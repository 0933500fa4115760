"""Bradley-Terry on words and surface features: what can be learnt without understanding anything."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gramr2.baselines.base import Kind, Setting
from gramr2.baselines.files import digest, read, write
from gramr2.baselines.logistic import Fitted, fit_logistic
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.judging.preference import Ties, decided
from gramr2.judgment import Decision

NAME = "bag-of-words"
MOST_WORDS = 20_000
SURFACE = ("characters", "words", "sentences", "digits", "punctuation", "lines", "list marks", "word length", "overlap")
"""surface features: counts as log(1 + n), the mean word length, and the share of words that the prompt has too"""
_WORD = re.compile(r"\w+")
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)


class BagOfWords:
    """Weights on TF-IDF of a vocabulary, and on standardised surface features."""

    def __init__(self, words: Sequence[str], idf: np.ndarray, scale: np.ndarray, fitted: Fitted) -> None:
        self.words, self.idf, self.scale, self.fitted = list(words), idf, scale, fitted
        self._places = {word: i for i, word in enumerate(self.words)}

    @property
    def id(self) -> str:
        """Name and digest of the weights."""
        return f"{NAME}@{digest(self.fitted.weights, self.idf, self.scale)}"

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See ``Baseline``."""
        found: list[float] = (
            differences(comparisons, self._places, self.idf, self.scale) @ self.fitted.weights
        ).tolist()
        return found

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return decided(comparisons, self.margins(comparisons), self.fitted.ties)

    def save(self, folder: Path) -> None:
        """See ``Baseline``."""
        ties = self.fitted.ties
        numbers = {"strength": self.fitted.strength, "tie_margin": ties.margin, "tie_probability": ties.probability}
        write(
            folder,
            {"name": NAME, **numbers, "words": self.words},
            {"weights": self.fitted.weights, "idf": self.idf, "scale": self.scale},
        )


def fit(labeled: Sequence[LabeledComparison], setting: Setting) -> BagOfWords:
    """Learn vocabulary, scales and weights from labelled comparisons.

    Raises:
        DataError: every comparison is a tie.
    """
    comparisons = [item.comparison for item in labeled]
    texts = [(c.prompt_text, response) for c in comparisons for response in c.responses]
    frequency = Counter(word for _, response in texts for word in set(_words(response)))
    words = sorted(sorted(frequency, key=lambda word: (-frequency[word], word))[:MOST_WORDS])
    idf = np.array([math.log((1 + len(texts)) / (1 + frequency[word])) + 1 for word in words])
    spread = np.array([surface(*text) for text in texts]).std(axis=0)
    # Each block has about unit length, so that one strength suits both.
    scale = np.where(spread > 0, spread, 1.0) * math.sqrt(len(SURFACE))
    rows = differences(comparisons, {word: i for i, word in enumerate(words)}, idf, scale)
    return BagOfWords(words, idf, scale, fit_logistic(rows, labeled, setting.seed))


def load(folder: Path, setting: Setting | None) -> BagOfWords:
    """See ``gramr2.baselines.load``."""
    values, tensors = read(folder)
    ties = Ties(values["tie_margin"], values["tie_probability"])
    fitted = Fitted(tensors["weights"], values["strength"], ties)
    return BagOfWords(values["words"], tensors["idf"], tensors["scale"], fitted)


def differences(comparisons: Sequence[Comparison], places: dict[str, int], idf: np.ndarray, scale: np.ndarray) -> Any:
    """f(A) − f(B), sparse, shape (comparisons, words + surface features). Words outside the vocabulary do not count."""
    data: list[float] = []
    indices: list[int] = []
    starts = [0]
    seen = np.zeros((len(comparisons), len(SURFACE)))
    for row, comparison in enumerate(comparisons):
        first, second = comparison.responses
        weights = _tfidf(first, places, idf)
        for place, value in _tfidf(second, places, idf).items():
            weights[place] = weights.get(place, 0.0) - value
        # Sorted, so that exchanged responses give exactly the negative.
        for place, value in sorted(weights.items()):
            indices.append(place)
            data.append(value)
        starts.append(len(data))
        prompt = comparison.prompt_text
        seen[row] = (np.array(surface(prompt, first)) - np.array(surface(prompt, second))) / scale
    from scipy.sparse import csr_array, hstack

    counted = csr_array((data, indices, starts), shape=(len(comparisons), len(places)))
    return hstack([counted, csr_array(seen)], format="csr")


def surface(prompt: str, response: str) -> list[float]:
    """``SURFACE`` of a response."""
    words, asked = _words(response), set(_words(prompt))
    counts = (
        len(response),
        len(words),
        len(re.findall(r"[.!?](?:\s|$)", response)),
        sum(char.isdigit() for char in response),
        sum(not char.isalnum() and not char.isspace() for char in response),
        response.count("\n"),
        len(_LIST.findall(response)),
    )
    length = sum(map(len, words)) / len(words) if words else 0.0
    shared = sum(word in asked for word in words) / len(words) if words else 0.0
    return [*map(math.log1p, counts), length, shared]


def _tfidf(text: str, places: dict[str, int], idf: np.ndarray) -> dict[int, float]:
    counts = Counter(word for word in _words(text) if word in places)
    values = {places[word]: math.log1p(count) * idf[places[word]] for word, count in counts.items()}
    length = math.sqrt(sum(value * value for value in values.values()))
    return {place: value / length for place, value in values.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


KIND = Kind(NAME, fit, load)
