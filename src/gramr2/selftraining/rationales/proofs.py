"""Rationales from the preference-proving model: k proofs per label, of which the best-scoring is kept (GRAM-R², §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest, ScoreRequest
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.files import write_jsonl
from gramr2.judging.proving import ProvingTemplate, from_proof, proof_score
from gramr2.judging.records import labeled_row
from gramr2.judging.template import CONCLUSIONS
from gramr2.judgment import FinishReason
from gramr2.randomness import derive_seed
from gramr2.selftraining.integrity import whole_model
from gramr2.selftraining.rationales.readers import scored
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.engine import TrainingJob
from gramr2.selftraining.run.manifest import seal
from gramr2.selftraining.warmup import start_of


@dataclass(frozen=True, slots=True)
class Proof:
    """The best eligible proof: as a rationale, with its score and the number of eligible proofs."""

    rationale: str
    score: float
    eligible: int


class Prover:
    """Writes proofs with the run's proving model, which it trains first if the config says so."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.config.rationale.proving
        self._model = self._settings.model or context.config.model
        self._template = ProvingTemplate(context.template.principles)

    def train(self) -> None:
        """Fine-tune the proving model, once."""
        context, into = self._context, self._context.folder.proving
        if not self._settings.train:
            return
        if into.exists():
            whole_model(into.parent)
            return
        items = context.data.proving
        training = self._settings.training.applied_to(context.config.training)
        with context.observer.task(f"train the proving model on {len(items)} rationales") as progress:
            job = TrainingJob(items, self._template, training, "proving")
            context.engine.train(start_of(context, self._model), into, job, self._model, progress)
        seal(into.parent)

    def prove(self, items: Sequence[tuple[Comparison, Label]]) -> list[Proof | None]:
        """The best proof for each label; None where none of the k proofs is eligible.

        A proof is eligible if it ended by itself, has at least ``min_tokens`` tokens, and concludes its label. A model that was
        not trained on proofs may also leave out the conclusion.
        """
        if not items:
            return []
        context, settings = self._context, self._settings
        self.train()
        folder = context.folder.proving if settings.train else context.engine.backbone(self._model)
        backend = context.open(folder, self._model)
        written = self._write(backend, items)
        alone = (Message("user", context.config.rationale.unconditional_prompt),)
        eligible: list[tuple[int, str, str]] = []
        for index, ((_, label), proofs) in enumerate(zip(items, written, strict=True)):
            for proof in proofs:
                rationale = from_proof(proof.text, label, ending=settings.train)
                ended = proof.finish_reason in (FinishReason.STOP, FinishReason.CLOSED)
                if rationale and ended and proof.completion_tokens >= settings.min_tokens:
                    eligible.append((index, proof.text, rationale))
        requests = [ScoreRequest(self._template.render(*items[i]), text) for i, text, _ in eligible]
        requests += [ScoreRequest(alone, text) for _, text, _ in eligible]
        with context.observer.task(f"score {len(eligible)} proofs") as progress:
            scores = scored(backend, requests, progress)
        best: list[Proof | None] = [None] * len(items)
        for (index, _, rationale), given, bare in zip(
            eligible, scores[: len(eligible)], scores[len(eligible) :], strict=True
        ):
            score, last = proof_score(given.logprob, bare.logprob), best[index]
            if last is None or score > last.score:
                best[index] = Proof(rationale, score, 1 if last is None else last.eligible + 1)
            else:
                best[index] = replace(last, eligible=last.eligible + 1)
        return best

    def _write(self, backend: Backend, items: Sequence[tuple[Comparison, Label]]) -> list[list[Completion]]:
        """All k proofs of every item."""
        settings, seed = self._settings, self._context.config.seed
        decoding = Decoding(settings.temperature, settings.top_p, settings.max_new_tokens)
        requests = [
            GenerationRequest(
                self._template.render(comparison, label),
                tuple(derive_seed(seed, "proof", comparison.id, label.value, i) for i in range(settings.proofs)),
                decoding,
                self._template.prefill,
                stop=tuple(CONCLUSIONS.values()),
            )
            for comparison, label in items
        ]
        written: dict[int, list[Completion]] = {}
        with self._context.observer.task(f"write proofs for {len(items)} labels") as progress:
            for index, completions in backend.generate(requests):
                written[index] = completions
                progress(len(written), len(items))
        return [written[index] for index in range(len(items))]


def with_rationales(context: RunContext, prover: Prover) -> list[LabeledComparison]:
    """The seed, with missing rationales filled in by proofs; also written to ``rounds/0/seed.jsonl``."""
    seed = list(context.data.seed)
    bare = [i for i, item in enumerate(seed) if item.rationale is None]
    if not bare:
        return seed
    proofs = prover.prove([(seed[i].comparison, seed[i].label) for i in bare])
    scores: dict[int, float] = {}
    for i, proof in zip(bare, proofs, strict=True):
        if proof is not None:
            seed[i], scores[i] = replace(seed[i], rationale=proof.rationale), proof.score
    without = len(bare) - len(scores)
    if without:
        context.observer.note(
            f"{without} of {len(bare)} seed comparisons without a rationale got no usable proof and stay label-only"
        )
    rows = (labeled_row(item) | ({"proof_score": scores[i]} if i in scores else {}) for i, item in enumerate(seed))
    write_jsonl(context.folder.round(0) / "seed.jsonl", rows)
    return seed
