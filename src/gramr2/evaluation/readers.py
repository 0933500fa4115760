"""Can the label be read back from a rationale that does not state it, by a reader that the judge's training never touched?

One reader learns words from other prompts' rationales, the other is a frozen model that sees the prompt and the rationale.
What they read back is in the text; what they do not read back may still be there for a better reader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gramr2.backends.base import Backend
from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.metrics import paired_test
from gramr2.evaluation.rationales import Reasoned, Share, share
from gramr2.evaluation.stated import NOUN, unsaid
from gramr2.judging.reading import verdicts_given, withhold
from gramr2.judging.template import JudgeTemplate
from gramr2.judging.voting import weighted
from gramr2.mentions import swap_mentions

FOLDS = 5
STRENGTH = 10.0
"""prior variance of the weights, for texts of unit length; fixed, so that nothing is tuned on what is measured"""
_TOKEN = re.compile(rf"\b{NOUN}s?[ _]([ABab])\b|\w+")

Target = Callable[[Reasoned], Label | None]
Reader = Callable[[Sequence[Reasoned], Sequence[Label]], list[Label | None]]
"""Reads a label from every rationale; it gets the labels too, and may learn from those of other prompts."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How often a reader names the right label, and how often the most frequent label is right; their difference with its
    95 % interval, over prompts if there are ten. ``unread`` counts rationales for which the reader names none: never right."""

    accuracy: Share
    majority: float
    difference: float
    low: float
    high: float
    unread: int


def verdict(vote: Reasoned) -> Label | None:
    """The judge's verdict after the rationale: reading it back shows whether the rationale leads there."""
    return vote.verdict


def truth(vote: Reasoned) -> Label | None:
    """People's label: reading it back shows whether the rationale is better than chance."""
    return vote.truth


TARGETS: dict[str, Target] = {"verdict": verdict, "truth": truth}


def read_back(votes: Sequence[Reasoned], reader: Reader, target: Target) -> ReadBack | None:
    """How well a reader reads the target from the rationales of the votes that have it; None if there are none."""
    asked = [(vote, label) for vote in votes if (label := target(vote)) is not None]
    if not asked:
        return None
    kept, labels = [vote for vote, _ in asked], [label for _, label in asked]
    read = reader(kept, labels)
    ((most, count),) = Counter(labels).most_common(1)
    right = share([a is b for a, b in zip(read, labels, strict=True)], [vote.group for vote in kept])
    items = [LabeledComparison(replace(vote.comparison, group=vote.group), label) for vote, label in asked]
    test = paired_test(items, [most] * len(items), read)
    return ReadBack(right, count / len(labels), test.difference, test.low, test.high, read.count(None))


def words(votes: Sequence[Reasoned], labels: Sequence[Label]) -> list[Label | None]:
    """Logistic regression on the words of a rationale, learnt from those of other prompts (five folds of whole prompts).

    Words and word pairs are marked with the response last named before them. It sees neither the prompt nor the responses.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    groups = [vote.group for vote in votes]
    texts = [features(unsaid(vote.rationale)) for vote in votes]
    read: list[Label | None] = [None] * len(votes)
    if len(set(groups)) < 2:
        return read
    for train, test in GroupKFold(min(FOLDS, len(set(groups)))).split(texts, groups=groups):
        known = [labels[i].value for i in train]
        if len(set(known)) == 1 or not any(texts[i] for i in train):
            guesses = [Counter(known).most_common(1)[0][0]] * len(test)
        else:
            count = TfidfVectorizer(analyzer=list, sublinear_tf=True)
            model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(
                count.fit_transform([texts[i] for i in train]), known
            )
            guesses = list(model.predict(count.transform([texts[i] for i in test])))
        for i, guess in zip(test, guesses, strict=True):
            read[i] = Label(guess)
    return read


def frozen(backend: Backend, template: JudgeTemplate) -> Reader:
    """A model as the reader: it sees the prompt and the rationale, not the responses, and gives its verdict.

    It is asked twice, the second time with A and B exchanged in the rationale, and both answers have the same weight, so
    that a bias towards one letter cancels out. It chooses among the labels that occur; if the best are level, it names none.
    """

    def read(votes: Sequence[Reasoned], labels: Sequence[Label]) -> list[Label | None]:
        texts = [unsaid(vote.rationale) for vote in votes]
        shown = [withhold(vote.comparison, prompt=False) for vote in votes]
        asked = list(zip(shown, texts, strict=True)) + [
            (each, swap_mentions(text)) for each, text in zip(shown, texts, strict=True)
        ]
        beliefs = verdicts_given(backend, template, asked)
        choices = [label for label in Label if label in labels]
        found: list[Label | None] = []
        for first, second in zip(beliefs[: len(votes)], beliefs[len(votes) :], strict=True):
            if first is None or second is None:
                found.append(None)
                continue
            belief = weighted([(first, 0.5), (second.swap(), 0.5)])
            best = max(belief[label] for label in choices)
            top = [label for label in choices if best - belief[label] < 1e-9]
            found.append(top[0] if len(top) == 1 else None)
        return found

    return read


def features(text: str) -> list[str]:
    """The words of a rationale, each also marked with the response last named before it, alone and with the previous word."""
    found: list[str] = []
    side, before = "", ""
    for match in _TOKEN.finditer(text):
        if match[1]:
            side, before = match[1].casefold(), ""
            found.append(f"response {side}")
            continue
        word = match[0].casefold()
        found += [word, f"{side}:{word}", f"{side}:{before} {word}"]
        before = word
    return found
