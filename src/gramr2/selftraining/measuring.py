"""Questions to a model whose answers are numbers: how likely a text is, and which label a rationale leads to. Journaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gramr2.backends.base import Backend, Score, ScoreRequest
from gramr2.comparison import LabeledComparison, Message
from gramr2.journal import Journal, address
from gramr2.judging.judge import Progress
from gramr2.judging.proving import proof_score
from gramr2.judging.reading import request_for, verdicts_given, withhold, without_conclusion
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.context import RunContext

CHUNK = 16


@dataclass(frozen=True, slots=True)
class ModelReaders:
    """``Readers`` of the filters, answered by a judge."""

    context: RunContext
    model: Path

    def read_back(self, lessons: Sequence[LabeledComparison]) -> list[LabelProbabilities | None]:
        """P(label | rationale without its conclusion), responses withheld."""
        context, journal = self.context, self.context.journals.measures
        backend = context.engine.open(self.model, context.config.model)
        asked = [(withhold(each.comparison), without_conclusion(each.rationale or "")) for each in lessons]
        requests = [request_for(context.template, *item) for item in asked]
        keys = [
            address("read back", backend.id, each.comparison.id, r.messages[-1].content, r.given)
            for each, r in zip(lessons, requests, strict=True)
        ]
        with context.observer.task(f"read {len(lessons)} labels back from rationales") as progress:
            for part in _unanswered(journal, keys):
                beliefs = verdicts_given(backend, context.template, [asked[i] for i in part])
                for i, belief in zip(part, beliefs, strict=True):
                    values = None if belief is None else [belief.a, belief.b, belief.tie]
                    journal.write(keys[i], {"id": lessons[i].comparison.id, "probabilities": values})
                progress(part[-1] + 1, len(keys))
        found = [(journal.read(key) or {})["probabilities"] for key in keys]
        return [None if values is None else LabelProbabilities(*values) for values in found]

    def pmi(self, lessons: Sequence[LabeledComparison]) -> list[float]:
        """Normalised pointwise mutual information of rationale and comparison under the judge."""
        context = self.context
        backend = context.engine.open(self.model, context.config.model)
        alone = (Message("user", context.config.rationale.unconditional_prompt),)
        template = context.template
        texts = ["".join(template.answer(each.label, each.rationale)[:2]) for each in lessons]
        given = [
            (each.comparison.id, template.render(each.comparison), text)
            for each, text in zip(lessons, texts, strict=True)
        ]
        bare = [(each.comparison.id, alone, text) for each, text in zip(lessons, texts, strict=True)]
        with context.observer.task(f"score {len(lessons)} rationales") as progress:
            scores = journaled_scores(backend, context.journals.measures, [*given, *bare], progress)
        pairs = zip(scores[: len(lessons)], scores[len(lessons) :], strict=True)
        return [max(1 + proof_score(a.logprob, b.logprob), -10.0) for a, b in pairs]


def journaled_scores(
    backend: Backend,
    journal: Journal,
    requests: Sequence[tuple[str, tuple[Message, ...], str]],
    progress: Progress | None = None,
) -> list[Score]:
    """Log-probability of each text as the answer to its messages; (id, messages, text) in, each asked once."""
    keys = [
        address("score", backend.id, name, [(turn.role, turn.content) for turn in messages], text)
        for name, messages, text in requests
    ]
    for part in _unanswered(journal, keys):
        scores = backend.score([ScoreRequest(requests[i][1], requests[i][2]) for i in part])
        for i, score in zip(part, scores, strict=True):
            journal.write(keys[i], {"id": requests[i][0], "logprob": score.logprob, "tokens": score.tokens})
        if progress:
            progress(part[-1] + 1, len(keys))
    records = [journal.read(key) or {} for key in keys]
    return [Score(record["logprob"], record["tokens"]) for record in records]


def _unanswered(journal: Journal, keys: Sequence[str]) -> Iterator[list[int]]:
    """Chunks of the questions of which any is unanswered, always cut in the same places: see ``Backend.generate``."""
    for start in range(0, len(keys), CHUNK):
        part = list(range(start, min(start + CHUNK, len(keys))))
        if any(journal.read(keys[i]) is None for i in part):
            yield part
