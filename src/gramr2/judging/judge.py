"""A judge: a model, a template, a way of decoding, and the parser that reads what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Protocol

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest
from gramr2.comparison import Comparison, Order
from gramr2.data.split import derive_seed
from gramr2.errors import ConfigError
from gramr2.journal import address
from gramr2.judging.parser import parse
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judging.voting import decide, is_settled
from gramr2.judgment import BOTH, REASONED, Decision, FinishReason, Judgment, LabelProbabilities, Outcome, Reading


class Orders(StrEnum):
    """Which orders are judged: both, or the stored one only (half the cost, and position bias stays in)."""

    BOTH = "both"
    FIRST = "first"

    @property
    def shown(self) -> tuple[Order, ...]:
        """The orders in which a comparison is shown."""
        return (Order.AB, Order.BA) if self is Orders.BOTH else (Order.AB,)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a comparison is judged: ``votes`` samples in each order.

    With ``settled`` voting on a comparison stops early, once its majority is that certain (``judge_adaptively``).
    ``guided`` lets the backend lead every sample to its verdict; ``close_on_budget`` closes a rationale that has used up
    ``max_new_tokens`` and still reads the verdict, where otherwise the vote counts as truncated.
    """

    votes: int = 4
    orders: Orders = Orders.BOTH
    temperature: float = 0.75
    top_p: float = 1.0
    max_new_tokens: int = 256
    guided: bool = True
    close_on_budget: bool = False
    settled: float | None = None

    def __post_init__(self) -> None:
        if self.votes > 1 and self.temperature == 0:
            raise ConfigError(
                f"{self.votes} votes at temperature 0 would be copies: set votes: 1 or a temperature above 0"
            )


class JudgmentStore(Protocol):
    """Where finished judgments are kept, so that none is paid for twice."""

    def get(self, key: str) -> Judgment | None:
        """The stored judgment, or None. Failed ones are not returned: they are to be tried again."""
        ...

    def put(self, key: str, comparison_id: str, judgment: Judgment) -> None:
        """Keep a judgment."""
        ...


Progress = Callable[[int, int], None]
"""Called with (comparisons done, comparisons in all)."""


class Judge:
    """Judges comparisons with any backend.

    Args:
        backend: the model.
        template: the prompt, the answer's form, and which verdicts are read. One of mode ``label`` knows the direct
        reading only. sampling: votes, orders and decoding; of a direct reading the orders alone matter.
    """

    def __init__(
        self,
        backend: Backend,
        template: JudgeTemplate | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self.backend = backend
        self.template = template or JudgeTemplate()
        self.sampling = sampling or Sampling()

    @property
    def id(self) -> str:
        """The backend's: see ``PreferenceModel``."""
        return self.backend.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """``judge`` without a store: see ``PreferenceModel``."""
        return self.judge(comparisons, seed=seed)

    @property
    def direct(self) -> Judge:
        """This judge asked for its verdict alone, once in each order: a prefill, no sampling."""
        sampling = Sampling(votes=1, orders=self.sampling.orders, temperature=0.0, max_new_tokens=1)
        return Judge(self.backend, replace(self.template, mode=JudgeMode.LABEL), sampling)

    def judge(
        self,
        comparisons: Sequence[Comparison],
        *,
        seed: int = 0,
        store: JudgmentStore | None = None,
        progress: Progress | None = None,
        on_decision: Callable[[int, Decision], None] | None = None,
        first: int = 0,
    ) -> list[Decision]:
        """Judge every comparison, in both orders unless told otherwise; with ``sampling.settled`` only as often as needed.

        A vote's randomness comes from (seed, comparison id, order, sample) alone. ``on_decision`` receives (index,
        decision) as soon as a comparison is finished, in no particular order. Samples before ``first`` are taken from the
        store as they are and not asked for.

        Raises:
            PromptTooLongError: a comparison does not fit the model; ``gramr2.judging.budget`` tells beforehand.
        """
        if self.template.readings.direct > 0 and self.template.mode is JudgeMode.REASON:
            return judge_twice(self, comparisons, seed=seed, store=store, progress=progress, on_decision=on_decision)
        if self.sampling.settled is not None:
            return judge_adaptively(
                self, comparisons, seed=seed, store=store, progress=progress, on_decision=on_decision
            )
        jobs: list[_Job] = [
            _Job(i, comparison, order)
            for i, comparison in enumerate(comparisons)
            for order in self.sampling.orders.shown
        ]
        decisions: list[Decision | None] = [None] * len(comparisons)
        readings = self.template.readings
        weights = readings if self._reading is Reading.REASONED else replace(BOTH, ties=readings.ties)
        open_orders = [len(self.sampling.orders.shown)] * len(comparisons)
        votes: list[list[Judgment]] = [[] for _ in comparisons]
        finished = 0

        def settle(job: _Job, judgments: Sequence[Judgment]) -> None:
            nonlocal finished
            votes[job.index] += judgments
            open_orders[job.index] -= 1
            if open_orders[job.index] == 0:
                ordered = sorted(votes[job.index], key=lambda vote: (vote.order, vote.sample))
                decision = decisions[job.index] = decide(job.comparison.id, ordered, weights)
                finished += 1
                if on_decision:
                    on_decision(job.index, decision)
                if progress:
                    progress(finished, len(comparisons))

        # A job is asked whole or not at all: a resumed run then makes the same requests, and the same batches of them.
        samples = range(first, self.sampling.votes)
        stored = [self._stored(job, samples, seed, store) for job in jobs]
        earlier = [self._stored(job, range(first), seed, store) or [] for job in jobs]
        for job, before, found in zip(jobs, earlier, stored, strict=True):
            if found is not None:
                settle(job, [*before, *found])
        known = {index for index, found in enumerate(stored) if found is not None}
        requests = [self._request(job, samples, seed) for job in jobs] if len(known) < len(jobs) else []
        for index, completions in self.backend.generate(requests, known) if requests else ():
            if index in known:
                continue
            job = jobs[index]
            fresh = [
                self._read(completion, job.order, sample, vote_seed)
                for completion, sample, vote_seed in zip(completions, samples, requests[index].seeds, strict=True)
            ]
            if store is not None:
                for judgment in fresh:
                    key = self._key(job, judgment.sample, seed)
                    if store.get(key) is None:
                        store.put(key, job.comparison.id, judgment)
            settle(job, [*earlier[index], *fresh])
        return [decision for decision in decisions if decision is not None]

    def _stored(
        self, job: _Job, samples: Sequence[int], seed: int, store: JudgmentStore | None
    ) -> list[Judgment] | None:
        """The job's judgments of these samples, if all of them are stored."""
        if store is None:
            return None
        found = [store.get(self._key(job, sample, seed)) for sample in samples]
        kept = [judgment for judgment in found if judgment is not None]
        return kept if len(kept) == len(found) else None

    def _request(self, job: _Job, samples: Sequence[int], seed: int) -> GenerationRequest:
        sampling = self.sampling
        reading = self.template.verdict_reading(guided=sampling.guided, close_on_budget=sampling.close_on_budget)
        return GenerationRequest(
            messages=self.template.render(job.comparison.shown(job.order)),
            seeds=tuple(derive_seed(seed, job.comparison.id, job.order.value, sample) for sample in samples),
            decoding=Decoding(sampling.temperature, sampling.top_p, sampling.max_new_tokens),
            prefill=self.template.prefill,
            stop=() if sampling.guided else (reading.end,),
            verdict=reading,
        )

    def _read(self, completion: Completion, order: Order, sample: int, seed: int) -> Judgment:
        parsed = parse(completion.text, truncated=completion.finish_reason is FinishReason.LENGTH)
        failed = completion.finish_reason is FinishReason.ERROR
        outcome = Outcome.ERROR if failed else parsed.outcome
        probabilities = None
        if completion.label_logprobs is not None and outcome.label is not None:
            a, b, tie = (math.exp(completion.label_logprobs[label]) for label in ("A", "B", "tie"))
            probabilities = LabelProbabilities(a, b, tie)
        if order is Order.BA:
            outcome, probabilities = outcome.swap(), probabilities.swap() if probabilities else None
        return Judgment(
            order=order,
            sample=sample,
            seed=seed,
            outcome=outcome,
            finish_reason=completion.finish_reason,
            rationale=parsed.rationale if self.template.mode is JudgeMode.REASON else None,
            probabilities=probabilities,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            error=completion.error,
            reading=self._reading,
        )

    @property
    def _reading(self) -> Reading:
        return Reading.REASONED if self.template.mode is JudgeMode.REASON else Reading.DIRECT

    def _key(self, job: _Job, sample: int, seed: int) -> str:
        """Content hash of everything that decides this judgment."""
        sampling = asdict(replace(self.sampling, votes=1, orders=Orders.BOTH, settled=None))
        del sampling["settled"]  # how often it is asked does not change an answer
        content = [job.comparison.prompt_text, *job.comparison.responses, job.comparison.id]
        return address(self.backend.id, self.template.hash, content, job.order, sample, seed, sampling)


def compare_with(
    model: PreferenceModel,
    comparisons: Sequence[Comparison],
    *,
    seed: int = 0,
    store: JudgmentStore | None = None,
    progress: Progress | None = None,
) -> list[Decision]:
    """``model.compare``; where the model is a judge, with its store, and with progress as it comes."""
    if isinstance(model, Judge):
        return model.judge(comparisons, seed=seed, store=store, progress=progress)
    decisions = model.compare(comparisons, seed)
    if progress:
        progress(len(decisions), len(decisions))
    return decisions


def judge_twice(
    judge: Judge,
    comparisons: Sequence[Comparison],
    *,
    seed: int,
    store: JudgmentStore | None,
    progress: Progress | None,
    on_decision: Callable[[int, Decision], None] | None,
) -> list[Decision]:
    """The direct reading of every comparison, then the reasoned one where it counts, combined with the judge's weights."""
    weights = judge.template.readings
    found: dict[int, Decision] = {}

    def settle(index: int, votes: Sequence[Judgment]) -> None:
        found[index] = decide(comparisons[index].id, votes, weights)
        if on_decision:
            on_decision(index, found[index])

    if not weights.reasoned:
        judge.direct.judge(
            comparisons, seed=seed, store=store, progress=progress, on_decision=lambda i, d: settle(i, d.judgments)
        )
        return [found[index] for index in range(len(comparisons))]
    direct = judge.direct.judge(comparisons, seed=seed, store=store)

    def combine(index: int, reasoned: Decision) -> None:
        settle(index, (*direct[index].judgments, *reasoned.judgments))

    reasoning = Judge(
        judge.backend, replace(judge.template, readings=replace(REASONED, ties=weights.ties)), judge.sampling
    )
    reasoning.judge(comparisons, seed=seed, store=store, progress=progress, on_decision=combine)
    return [found[index] for index in range(len(comparisons))]


def judge_adaptively(
    judge: Judge,
    comparisons: Sequence[Comparison],
    *,
    seed: int,
    store: JudgmentStore | None,
    progress: Progress | None,
    on_decision: Callable[[int, Decision], None] | None,
) -> list[Decision]:
    """Vote in rounds of 2, 4, 8 … samples an order, and go on only with comparisons whose outcome is not settled.

    Votes keep their addresses, so a comparison that uses all its votes ends with the decision of a judge that always does.
    """
    sampling = judge.sampling
    certainty = sampling.settled or 1.0
    known = store if store is not None else Memory()
    decisions: dict[int, Decision] = {}
    left = list(range(len(comparisons)))
    before, votes = 0, min(2, sampling.votes)
    while left:
        staged = Judge(judge.backend, judge.template, replace(sampling, votes=votes, settled=None))
        last = votes >= sampling.votes
        judged = staged.judge([comparisons[i] for i in left], seed=seed, store=known, first=before)
        for index, decision in zip(left, judged, strict=True):
            if last or is_settled(decision, certainty, judge.template.readings.ties):
                decisions[index] = decision
                if on_decision:
                    on_decision(index, decision)
        left = [index for index in left if index not in decisions]
        if progress:
            progress(len(decisions), len(comparisons))
        before, votes = votes, min(2 * votes, sampling.votes)
    return [decisions[index] for index in range(len(comparisons))]


class Memory:
    """A ``JudgmentStore`` for one call."""

    def __init__(self) -> None:
        self._known: dict[str, Judgment] = {}

    def get(self, key: str) -> Judgment | None:
        return self._known.get(key)

    def put(self, key: str, comparison_id: str, judgment: Judgment) -> None:
        if judgment.outcome is not Outcome.ERROR:
            self._known[key] = judgment


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    comparison: Comparison
    order: Order
