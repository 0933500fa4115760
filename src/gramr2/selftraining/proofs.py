"""Rationales from the preference-proving model: k proofs for a label, of which the best scored is kept (GRAM-R², §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gramr2.backends.base import Backend, Decoding, GenerationRequest
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.data import derive_seed
from gramr2.journal import address
from gramr2.judging.proving import ProvingTemplate, from_proof, proof_score
from gramr2.judging.records import labeled_row, write_jsonl
from gramr2.judging.template import CONCLUSIONS
from gramr2.judgment import FinishReason
from gramr2.selftraining.context import RunContext
from gramr2.selftraining.engine import TrainingJob
from gramr2.selftraining.measuring import journaled_scores
from gramr2.selftraining.warmup import start_of


@dataclass(frozen=True, slots=True)
class Proof:
    """The best of the eligible proofs: as a rationale, its score, and of how many it is the best."""

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
        if not self._settings.train or into.exists():
            return
        items = context.data.proving
        training = self._settings.training.applied_to(context.config.training)
        with context.observer.task(f"train the proving model on {len(items)} rationales") as progress:
            job = TrainingJob(items, self._template, training, "proving")
            context.engine.train(start_of(context, self._model), into, job, self._model, progress)

    def prove(self, items: Sequence[tuple[Comparison, Label]]) -> list[Proof | None]:
        """The best proof for each label; None where none of the k proofs is eligible.

        A proof is eligible when it ended by itself, has ``min_tokens`` tokens or more, and comes to its label, or of a model
        that was not trained on proofs to none.
        """
        if not items:
            return []
        context, settings = self._context, self._settings
        self.train()
        folder = context.folder.proving if settings.train else context.engine.backbone(self._model)
        backend = context.engine.open(folder, self._model)
        written = self._write(backend, items)
        alone = (Message("user", context.config.rationale.unconditional_prompt),)
        eligible: list[tuple[int, str, str]] = []
        for index, ((_, label), proofs) in enumerate(zip(items, written, strict=True)):
            for text, reason, tokens in proofs:
                rationale = from_proof(text, label, ending=settings.train)
                if rationale and reason is not FinishReason.LENGTH and tokens >= settings.min_tokens:
                    eligible.append((index, text, rationale))
        requests = [(items[i][0].id, self._template.render(*items[i]), text) for i, text, _ in eligible]
        requests += [(items[i][0].id, alone, text) for i, text, _ in eligible]
        with context.observer.task(f"score {len(eligible)} proofs") as progress:
            scores = journaled_scores(backend, context.journals.measures, requests, progress)
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

    def _write(
        self, backend: Backend, items: Sequence[tuple[Comparison, Label]]
    ) -> list[list[tuple[str, FinishReason, int]]]:
        """All k proofs of every item: (text, why it ended, its tokens)."""
        settings, journal = self._settings, self._context.journals.proofs
        decoding = Decoding(settings.temperature, settings.top_p, settings.max_new_tokens)
        prompts = [self._template.render(comparison, label) for comparison, label in items]
        seeds = [
            [derive_seed(self._context.config.seed, "proof", c.id, label.value, i) for i in range(settings.proofs)]
            for c, label in items
        ]
        drawn = [settings.temperature, settings.top_p, settings.max_new_tokens]
        keys = [
            [address("proof", backend.id, prompt[0].content, seed, drawn) for seed in row]
            for prompt, row in zip(prompts, seeds, strict=True)
        ]
        known = {i for i, row in enumerate(keys) if all(journal.read(key) is not None for key in row)}
        requests = [
            GenerationRequest(
                prompt,
                tuple(row),
                decoding,
                self._template.prefill,
                stop=tuple(CONCLUSIONS.values()),
            )
            for prompt, row in zip(prompts, seeds, strict=True)
        ]
        with self._context.observer.task(f"write proofs for {len(items)} labels") as progress:
            done = len(known)
            for index, completions in backend.generate(requests, known):
                if index in known:
                    continue
                for key, completion in zip(keys[index], completions, strict=True):
                    record = {
                        "id": items[index][0].id,
                        "label": items[index][1].value,
                        "text": completion.text,
                        "finish_reason": completion.finish_reason.value,
                        "tokens": completion.completion_tokens,
                    }
                    journal.write(key, record)
                done += 1
                progress(done, len(items))
        records = [[journal.read(key) or {} for key in row] for row in keys]
        return [[(r["text"], FinishReason(r["finish_reason"]), r["tokens"]) for r in row] for row in records]


def with_rationales(context: RunContext, prover: Prover) -> list[LabeledComparison]:
    """The seed, with proofs as the rationales of those that have none; also written to ``rounds/0/seed.jsonl``."""
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
