"""Measures taken with a model: how likely a text is, and which label a rationale leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gramr2.backends.base import Backend, Score, ScoreRequest
from gramr2.comparison import LabeledComparison, Message
from gramr2.judging.judge import Progress
from gramr2.judging.proving import proof_score
from gramr2.judging.reading import verdicts_given, withhold, without_conclusion
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.run.context import RunContext
from gramr2.written import joined

CHUNK = 16


@dataclass(frozen=True, slots=True)
class ModelReaders:
    """The filters' ``Readers``, implemented with a judge."""

    context: RunContext
    model: Path

    def read_back(self, examples: Sequence[LabeledComparison]) -> list[LabelProbabilities | None]:
        """P(label | rationale without its conclusion), responses withheld."""
        backend = self.context.open(self.model)
        asked = [(withhold(each.comparison), without_conclusion(each.rationale or "")) for each in examples]
        found: list[LabelProbabilities | None] = []
        with self.context.observer.task(f"read {len(examples)} labels back from rationales") as progress:
            for at in range(0, len(asked), CHUNK):
                found += verdicts_given(backend, self.context.template, asked[at : at + CHUNK])
                progress(len(found), len(asked))
        return found

    def pmi(self, examples: Sequence[LabeledComparison]) -> list[float]:
        """Normalised pointwise mutual information of rationale and comparison under the judge."""
        context, template = self.context, self.context.template
        alone = (Message("user", context.config.rationale.unconditional_prompt),)
        texts = [joined(*template.answer(each.label, each.rationale)[:2]) for each in examples]
        given = [
            ScoreRequest(template.render(each.comparison), text) for each, text in zip(examples, texts, strict=True)
        ]
        bare = [ScoreRequest(alone, text) for text in texts]
        with context.observer.task(f"score {len(examples)} rationales") as progress:
            scores = scored(context.open(self.model), [*given, *bare], progress)
        pairs = zip(scores[: len(examples)], scores[len(examples) :], strict=True)
        return [max(1 + proof_score(a.logprob, b.logprob), -10.0) for a, b in pairs]


def scored(backend: Backend, requests: Sequence[ScoreRequest], progress: Progress) -> list[Score]:
    """``Backend.score`` in chunks, with progress."""
    scores: list[Score] = []
    for at in range(0, len(requests), CHUNK):
        scores += backend.score(requests[at : at + CHUNK])
        progress(len(scores), len(requests))
    return scores
