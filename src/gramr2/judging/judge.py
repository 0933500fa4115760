"""A judge: a model, a template, decoding settings, and the parser that reads the output."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gramr2.backends.base import Backend, Completion, Decoding, GenerationRequest, generate_until
from gramr2.comparison import Comparison, Order
from gramr2.config.section import would_be_copies
from gramr2.errors import ConfigError
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.scalar import CHUNK, ScalarJudge
from gramr2.judging.second_view import Opinion, SecondView
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judging.voting import decide, is_settled
from gramr2.judgment import (
    BOTH,
    DIRECT,
    REASONED,
    Decision,
    FinishReason,
    Judgment,
    LabelProbabilities,
    Outcome,
    Reading,
    ReadingWeights,
)
from gramr2.randomness import derive_seed


class Orders(StrEnum):
    """Which orders are judged: both, or only the stored one (half the cost, but position bias remains)."""

    BOTH = "both"
    FIRST = "first"

    @property
    def shown(self) -> tuple[Order, ...]:
        """The orders in which a comparison is shown."""
        return (Order.AB, Order.BA) if self is Orders.BOTH else (Order.AB,)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a comparison is judged: ``votes`` samples in each order.

    With ``stop_certainty``, voting on a comparison stops early, once its majority is that certain (see ``Judge.judge``). With
    ``direct_certainty``, no rationale is written where the direct reading is that certain of a label and its orders agree.
    ``guided`` lets the backend guide every sample to its verdict. With ``close_on_budget``, a rationale that has used up
    ``max_new_tokens`` is closed and its verdict is still read; otherwise the vote counts as truncated.
    """

    votes: int = 4
    orders: Orders = Orders.BOTH
    temperature: float = 0.75
    top_p: float = 1.0
    max_new_tokens: int = 256
    guided: bool = True
    close_on_budget: bool = False
    stop_certainty: float | None = None
    direct_certainty: float | None = None

    def __post_init__(self) -> None:
        if wrong := would_be_copies(self.votes, self.temperature):
            raise ConfigError(wrong)


Progress = Callable[[int, int], None]
"""Called with (comparisons done, total number of comparisons)."""


class Judge:
    """Judges comparisons with any backend.

    Args:
        backend: the model.
        template: the prompt, the form of the answer, and which verdicts are read; mode ``label`` has only the direct
            reading.
        sampling: votes, orders and decoding; a direct reading uses only the orders.
        view: a second opinion that every decision counts; it adds no votes.
    """

    def __init__(
        self,
        backend: Backend,
        template: JudgeTemplate | None = None,
        sampling: Sampling | None = None,
        view: SecondView | None = None,
    ) -> None:
        self.backend = backend
        self.template = template or JudgeTemplate()
        self.sampling = sampling or Sampling()
        self.view = view

    @property
    def id(self) -> str:
        """The backend's, with the second view's, if there is one: see ``PreferenceModel``."""
        return self.backend.id if self.view is None else f"{self.backend.id}+{self.view.id}"

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return self.judge(comparisons, seed=seed)

    @property
    def draws(self) -> bool:
        """Whether its decisions depend on the seed: whether it draws tokens or labels."""
        reads = self.template.mode is JudgeMode.REASON and not self.template.readings.reasoned
        return self.sampling.temperature > 0 and not reads

    @property
    def direct(self) -> Judge:
        """This judge, asked for its verdict alone, once in each order: one prefill, no sampling."""
        sampling = Sampling(votes=1, orders=self.sampling.orders, temperature=0.0, max_new_tokens=1)
        return Judge(self.backend, replace(self.template, mode=JudgeMode.LABEL), sampling, self.view)

    def judge(
        self,
        comparisons: Sequence[Comparison],
        *,
        seed: int = 0,
        progress: Progress | None = None,
        on_decision: Callable[[int, Decision], None] | None = None,
    ) -> list[Decision]:
        """Judge every comparison in the orders of ``sampling``; with ``stop_certainty``, with no more votes than needed.

        A vote's randomness depends only on (seed, comparison id, order, sample). ``on_decision`` receives (index,
        decision) as soon as a comparison is finished, in no particular order.

        Raises:
            PromptTooLongError: a comparison does not fit the model; ``gramr2.judging.budget`` checks this beforehand.
        """
        opinions = self._opinions(comparisons)
        reads = self.template.readings.direct > 0 or self.sampling.direct_certainty is not None
        if reads and self.template.mode is JudgeMode.REASON:
            return _judge_twice(self, comparisons, opinions, seed, progress, on_decision)
        if self.sampling.stop_certainty is not None:
            return _judge_adaptively(self, comparisons, opinions, seed, progress, on_decision)
        decisions: dict[int, Decision] = {}

        def finish(index: int, votes: list[Judgment]) -> None:
            decisions[index] = decide(comparisons[index].id, votes, self._weights, opinions[index])
            if on_decision:
                on_decision(index, decisions[index])
            if progress:
                progress(len(decisions), len(comparisons))

        self.vote(comparisons, range(self.sampling.votes), seed, finish)
        return [decisions[index] for index in range(len(comparisons))]

    def vote(
        self,
        comparisons: Sequence[Comparison],
        samples: range,
        seed: int,
        finish: Callable[[int, list[Judgment]], None],
    ) -> None:
        """Ask for these samples of every comparison in every order.

        ``finish`` receives (index, votes by order and sample) as soon as a comparison has all of them.
        """
        orders = self.sampling.orders.shown
        jobs = [(index, order) for index in range(len(comparisons)) for order in orders]
        requests = [self.request(comparisons[index], order, samples, seed) for index, order in jobs]
        votes: list[list[Judgment]] = [[] for _ in comparisons]
        for place, completions in self.backend.generate(requests) if requests else ():
            index, order = jobs[place]
            votes[index] += [
                self._read(completion, order, sample, vote_seed)
                for completion, sample, vote_seed in zip(completions, samples, requests[place].seeds, strict=True)
            ]
            if len(votes[index]) == len(orders) * len(samples):
                finish(index, in_order(votes[index]))

    def request(self, comparison: Comparison, order: Order, samples: range, seed: int) -> GenerationRequest:
        """What the backend is asked for these samples of a comparison in one order."""
        sampling = self.sampling
        reading = (
            self.template.verdict_reading(guided=sampling.guided, close_on_budget=sampling.close_on_budget)
            if self.template.tagged
            else None
        )
        return GenerationRequest(
            messages=self.template.render(comparison.shown(order)),
            seeds=tuple(derive_seed(seed, comparison.id, order.value, sample) for sample in samples),
            decoding=Decoding(sampling.temperature, sampling.top_p, sampling.max_new_tokens),
            prefill=self.template.prefill,
            stop=() if sampling.guided or reading is None else (reading.end,),
            verdict=reading,
        )

    def _read(self, completion: Completion, order: Order, sample: int, seed: int) -> Judgment:
        parsed = self.template.read(completion.text, truncated=completion.finish_reason is FinishReason.LENGTH)
        error = completion.error if completion.sound else "the model's label probabilities are not numbers"
        failed = completion.finish_reason is FinishReason.ERROR or not completion.sound
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
            finish_reason=completion.finish_reason if completion.sound else FinishReason.ERROR,
            rationale=parsed.rationale if self.template.mode is JudgeMode.REASON else None,
            probabilities=probabilities,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            error=error,
            reading=self._reading,
        )

    def _opinions(self, comparisons: Sequence[Comparison]) -> Sequence[Opinion | None]:
        return [None] * len(comparisons) if self.view is None else self.view.opinions(comparisons)

    @property
    def _reading(self) -> Reading:
        return Reading.REASONED if self.template.mode is JudgeMode.REASON else Reading.DIRECT

    @property
    def _weights(self) -> ReadingWeights:
        """The weights with which the votes of one reading are combined."""
        readings = self.template.readings
        return readings if self._reading is Reading.REASONED else replace(BOTH, ties=readings.ties)


def in_order(votes: Sequence[Judgment]) -> list[Judgment]:
    """Votes sorted by order and sample, as in a decision."""
    return sorted(votes, key=lambda vote: (vote.order, vote.sample))


def compare_with(
    model: PreferenceModel,
    comparisons: Sequence[Comparison],
    *,
    seed: int = 0,
    progress: Progress | None = None,
    on_decision: Callable[[int, Decision], None] | None = None,
) -> list[Decision]:
    """``model.compare``; progress and decisions of a ``Judge`` or a ``ScalarJudge`` are reported along the way, of others at the
    end."""
    if isinstance(model, Judge):
        return model.judge(comparisons, seed=seed, progress=progress, on_decision=on_decision)
    size = CHUNK // 2 if isinstance(model, ScalarJudge) else len(comparisons)
    decisions: list[Decision] = []
    for start in range(0, max(1, len(comparisons)), max(1, size)):
        fresh = model.compare(comparisons[start : start + size], seed)
        if on_decision:
            for index, decision in enumerate(fresh, start):
                on_decision(index, decision)
        decisions += fresh
        if progress:
            progress(len(decisions), len(comparisons))
    return decisions


def _judge_twice(
    judge: Judge,
    comparisons: Sequence[Comparison],
    opinions: Sequence[Opinion | None],
    seed: int,
    progress: Progress | None,
    on_decision: Callable[[int, Decision], None] | None,
) -> list[Decision]:
    """The direct reading of every comparison, then the reasoned one, if it counts, of those that are not decided yet."""
    weights, certainty = judge.template.readings, judge.sampling.direct_certainty
    found: dict[int, Decision] = {}

    def settle(index: int, votes: Sequence[Judgment], counted: ReadingWeights = weights) -> None:
        found[index] = decide(comparisons[index].id, votes, counted, opinions[index])
        if on_decision:
            on_decision(index, found[index])

    alone = Judge(judge.backend, judge.template, replace(judge.sampling, direct_certainty=None))
    if not weights.reasoned:
        alone.direct.judge(comparisons, seed=seed, progress=progress, on_decision=lambda i, d: settle(i, d.judgments))
        return [found[index] for index in range(len(comparisons))]
    direct = alone.direct.judge(comparisons, seed=seed)
    if certainty is not None:
        for index, decision in enumerate(direct):
            if (decision.confidence or 0.0) >= certainty and not decision.order_flip:
                settle(index, decision.judgments, replace(DIRECT, ties=weights.ties))
    left = [index for index in range(len(comparisons)) if index not in found]

    def combine(place: int, reasoned: Decision) -> None:
        votes = direct[left[place]].judgments if weights.direct else ()
        settle(left[place], (*votes, *reasoned.judgments))
        if progress:
            progress(len(found), len(comparisons))

    template = replace(judge.template, readings=replace(REASONED, ties=weights.ties))
    Judge(judge.backend, template, alone.sampling).judge([comparisons[i] for i in left], seed=seed, on_decision=combine)
    return [found[index] for index in range(len(comparisons))]


def _judge_adaptively(
    judge: Judge,
    comparisons: Sequence[Comparison],
    opinions: Sequence[Opinion | None],
    seed: int,
    progress: Progress | None,
    on_decision: Callable[[int, Decision], None] | None,
) -> list[Decision]:
    """Vote until there are 2, 4, 8 … samples per order, and continue only with comparisons that are not settled; their prompts
    are still in the backend's cache, if it can keep them.

    Votes keep their seeds, so a comparison that uses all its votes ends with the same decision as without early stopping.
    """
    sampling, weights, orders = judge.sampling, judge._weights, judge.sampling.orders.shown
    jobs = [(index, order) for index in range(len(comparisons)) for order in orders]
    requests = [judge.request(comparisons[index], order, range(sampling.votes), seed) for index, order in jobs]
    groups = [range(len(orders) * index, len(orders) * (index + 1)) for index in range(len(comparisons))]
    decisions: dict[int, Decision] = {}
    found: dict[int, list[Completion]] = {}

    def decided(index: int, completions: Sequence[Sequence[Completion]]) -> Decision:
        votes = [
            judge._read(completion, order, sample, requests[place].seeds[sample])
            for place, order, each in zip(groups[index], orders, completions, strict=True)
            for sample, completion in enumerate(each)
        ]
        return decide(comparisons[index].id, in_order(votes), weights, opinions[index])

    def enough(index: int, completions: Sequence[Sequence[Completion]]) -> bool:
        return is_settled(decided(index, completions), sampling.stop_certainty or 1.0, weights.ties)

    for place, completions in generate_until(judge.backend, requests, groups, enough) if requests else ():
        found[place] = completions
        index, _ = jobs[place]
        if all(each in found for each in groups[index]):
            decisions[index] = decided(index, [found.pop(each) for each in groups[index]])
            if on_decision:
                on_decision(index, decisions[index])
            if progress:
                progress(len(decisions), len(comparisons))
    return [decisions[index] for index in range(len(comparisons))]
