"""What a benchmark asks, and what a judge answered: pairs with a label, and sets of responses with the chosen ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Order, ResponseSet
from gramr2.judging.voting import decide
from gramr2.judgment import BOTH, Decision, ReadingWeights
from gramr2.randomness import fraction


@dataclass(frozen=True, slots=True)
class Pair:
    """A comparison of a benchmark. ``facts`` is what only its score needs, such as the cell of a matrix.

    ``label`` is None where nobody knows which response is better, as when the judge measures a policy: its score is then a win
    rate and no accuracy.
    """

    comparison: Comparison
    label: Label | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Unique in the benchmark."""
        return self.comparison.id

    @property
    def category(self) -> str | None:
        """The subset it belongs to."""
        return self.comparison.category

    @property
    def group(self) -> str | None:
        """Shared by items that belong together."""
        return self.comparison.group

    @property
    def labeled(self) -> LabeledComparison | None:
        """The comparison with its label, if it has one."""
        return None if self.label is None else LabeledComparison(self.comparison, self.label)


@dataclass(frozen=True, slots=True)
class Choice:
    """A prompt with two or more responses, of which those at the indices ``chosen`` are right or best."""

    responses: ResponseSet
    chosen: frozenset[int]
    category: str | None = None
    group: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Unique in the benchmark."""
        return self.responses.id

    @property
    def size(self) -> int:
        """How many responses there are."""
        return len(self.responses.responses)


Item = Pair | Choice


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of a pair, in terms of the comparison as it is stored.

    Args:
        orders: its label in each order in which it was asked, None for a failure; a model that sees no order says the same in
            both.
        label: its label of both orders together.
        win: P(A) + P(tie)/2, if it gives probabilities.
        told: whether the labels of the orders are its own. A server that keeps its votes to itself tells ``label`` only, which
            then stands for both orders.
    """

    orders: tuple[Label | None, ...]
    label: Label | None
    win: float | None = None
    told: bool = True

    @classmethod
    def of(cls, *orders: Label | None) -> Verdict:
        """A verdict from the labels of one order or of both."""
        said = set(orders)
        together = orders[0] if len(said) == 1 else None if None in said else Label.TIE
        return cls(orders, together)


@dataclass(frozen=True, slots=True)
class Placing:
    """What a judge makes of a set of responses: a place and a score for each.

    Args:
        ranks: places from 1; equal ones are shared. None for a response that no decided comparison was about.
        scores: more is better, on the scale of the ranking.
        games: (first, second, result) of every comparison that was made, the result from 1 for the first to 0, None if
            undecided.
    """

    ranks: tuple[int | None, ...]
    scores: tuple[float | None, ...]
    games: tuple[tuple[int, int, float | None], ...] = ()

    @classmethod
    def by(cls, scores: Sequence[float | None]) -> Placing:
        """The places that scores lead to."""
        ranks = [None if s is None else 1 + sum(o is not None and o > s for o in scores) for s in scores]
        return cls(tuple(ranks), tuple(scores))

    @property
    def tops(self) -> frozenset[int] | None:
        """The responses that share the first place; None if one of the responses has no place."""
        return None if None in self.ranks else frozenset(i for i, rank in enumerate(self.ranks) if rank == 1)

    def beats(self, first: int, second: int) -> bool:
        """Whether one response is strictly better: in their own comparison if there was a decided one, else by their scores."""
        for a, b, result in self.games:
            if result is not None and {a, b} == {first, second}:
                return result > 0.5 if a == first else result < 0.5
        a_score, b_score = self.scores[first], self.scores[second]
        return a_score is not None and b_score is not None and a_score > b_score


Answer = Verdict | Placing


def verdict_of(decision: Decision, weights: ReadingWeights = BOTH) -> Verdict:
    """A decision with each order on its own.

    Args:
        decision: from any preference model.
        weights: those of the judge's readings, which combine within an order as they do in the decision.
    """
    believed = decision.probabilities
    win = None if believed is None else believed.a + believed.tie / 2
    if not decision.judgments:
        asked = 1 if decision.order_flip is None and decision.label is not None else 2
        return Verdict((decision.label,) * asked, decision.label, win, told=not decision.order_flip)
    orders = []
    for order in Order:
        votes = [vote for vote in decision.judgments if vote.order is order]
        if votes:
            orders.append(decide(decision.id, votes, weights).label)
    return Verdict(tuple(orders), decision.label, win)


def placed(
    seed: int,
    name: str,
    prompt: tuple[Message, ...],
    chosen: str,
    rejected: str,
    *,
    category: str | None = None,
    group: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Pair:
    """A pair of which the source says only which response is better: which one is A follows from the seed and the id."""
    first = fraction(seed, "side", name) < 0.5
    texts = (chosen, rejected) if first else (rejected, chosen)
    pair = Comparison(name, prompt, texts, category=category, group=group)
    return Pair(pair, Label.A if first else Label.B, facts or {})
