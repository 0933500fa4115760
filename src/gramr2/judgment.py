"""What a judge returns: one sampled ``Judgment``, and the ``Decision`` that several of them add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gramr2.comparison import Label, Order


class Outcome(StrEnum):
    """The outcome of one sampled completion: a verdict, or the way in which it failed to give one."""

    A = "A"
    B = "B"
    TIE = "tie"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    ERROR = "error"

    @property
    def label(self) -> Label | None:
        """The label, or None if the completion failed. A failure is never a score."""
        return Label(self.value) if self in _VERDICTS else None

    @classmethod
    def of(cls, label: Label) -> Outcome:
        """The outcome that states ``label``."""
        return cls(label.value)

    def swap(self) -> Outcome:
        """The outcome after the responses have changed places; failures stay the same."""
        label = self.label
        return self if label is None else Outcome.of(label.swap())


_VERDICTS = frozenset({Outcome.A, Outcome.B, Outcome.TIE})


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """the model ended its turn, or reached the end of the verdict"""
    CLOSED = "closed"
    """the rationale used up its budget and was closed by the backend; the verdict was still read"""
    LENGTH = "length"
    """the token budget ran out before a verdict"""
    ERROR = "error"
    """the backend failed; ``error`` says how"""


class Reading(StrEnum):
    """Where a verdict is read."""

    DIRECT = "direct"
    """at the end of a prompt that asks for the verdict alone: one prefill, nothing sampled"""
    REASONED = "reasoned"
    """after a rationale that the judge has written"""
    VIEW = "second_view"
    """not in the judge's answer at all: what the second view saved with it says (``gramr2.judging.second_view``)"""


FLOOR = 1e-6
"""lower bound on a probability before its logarithm is taken"""
ANSWERED = (Reading.DIRECT, Reading.REASONED)
"""the readings of the judge's own answers"""


@dataclass(frozen=True, slots=True)
class ReadingWeights:
    """The weight of each reading: the decision's log P(label) is Σ weight · log P(label | reading), normalised. A reading
    with weight 0 is not asked for. Without ``ties``, a tie is not a verdict, and A and B share its probability in
    proportion."""

    direct: float = 0.0
    reasoned: float = 1.0
    ties: bool = True

    @property
    def asked(self) -> tuple[Reading, ...]:
        """The readings with a weight above 0."""
        return tuple(each for each in ANSWERED if self[each] > 0)

    def __getitem__(self, reading: Reading) -> float:
        return {Reading.DIRECT: self.direct, Reading.REASONED: self.reasoned}[reading]


DIRECT, REASONED, BOTH = ReadingWeights(1.0, 0.0), ReadingWeights(0.0, 1.0), ReadingWeights(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class LabelProbabilities:
    """A distribution over the three labels; the entries sum to 1."""

    a: float
    b: float
    tie: float

    @classmethod
    def certain(cls, label: Label) -> LabelProbabilities:
        """All mass on one label, for a verdict that came without probabilities."""
        return cls(*(1.0 if label is each else 0.0 for each in Label))

    def __getitem__(self, label: Label) -> float:
        return {Label.A: self.a, Label.B: self.b, Label.TIE: self.tie}[label]

    def swap(self) -> LabelProbabilities:
        """The same belief after the responses have changed places."""
        return LabelProbabilities(self.b, self.a, self.tie)

    def without_tie(self) -> LabelProbabilities:
        """The same belief given that one response must be better."""
        decided = self.a + self.b
        return (
            LabelProbabilities(self.a / decided, self.b / decided, 0.0)
            if decided
            else LabelProbabilities(0.5, 0.5, 0.0)
        )

    def as_dict(self) -> dict[str, float]:
        """``{"A": …, "B": …, "tie": …}``, the form used in files."""
        return {"A": self.a, "B": self.b, "tie": self.tie}


@dataclass(frozen=True, slots=True)
class Judgment:
    """One sampled completion of a judge.

    ``outcome`` and ``probabilities`` refer to the comparison as it is stored, whatever ``order`` it was shown in.
    ``rationale`` is left as it was written, so in order BA its “Response A” is the comparison's second response.
    ``probabilities`` is P(label | rationale), or P(label) of a direct reading, read from the logits at the verdict;
    None if the backend returns none.
    """

    order: Order
    sample: int
    seed: int
    outcome: Outcome
    finish_reason: FinishReason
    rationale: str | None = None
    probabilities: LabelProbabilities | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None
    reading: Reading = Reading.REASONED


@dataclass(frozen=True, slots=True)
class Decision:
    """All judgments of one comparison, aggregated (see ``gramr2.judging.voting.decide``).

    ``label``, ``probabilities`` and ``confidence`` (the label's averaged probability) are None when the judge abstains.
    ``agreement`` is the share of valid votes that state the label; ``order_flip`` whether the two orders, each decided on
    its own, name different labels; ``coverage`` the share of votes that were verdicts at all. ``readings`` is what each
    reading says by itself, both orders combined; a second view counts as one. ``told`` is the rationale of a decision that
    came without its votes, as from a server, and the order that it refers to.
    """

    id: str
    judgments: tuple[Judgment, ...]
    label: Label | None
    probabilities: LabelProbabilities | None
    confidence: float | None
    agreement: float | None
    order_flip: bool | None
    coverage: float
    readings: Mapping[Reading, LabelProbabilities] = field(default_factory=dict)
    told: tuple[str, Order] | None = None

    @property
    def rationale(self) -> str | None:
        """The rationale of the vote that backs the label with the highest probability, with order AB preferred on a draw.

        It is as written: if ``rationale_order`` is BA, it refers to the swapped comparison.
        """
        if self.told is not None:
            return self.told[0]
        return None if self.best is None else self.best.rationale

    @property
    def rationale_order(self) -> Order | None:
        """The order in which the comparison was shown to the vote that wrote ``rationale``; None without a vote."""
        if self.told is not None:
            return self.told[1]
        return None if self.best is None else self.best.order

    @property
    def best(self) -> Judgment | None:
        """The vote that states the label with the highest probability for it, one with a rationale if there is one;
        None when the judge abstains."""
        label = self.label
        if label is None:
            return None
        backing = [vote for vote in self.judgments if vote.outcome.label is label]

        def strength(vote: Judgment) -> tuple[bool, float, bool, int]:
            belief = 1.0 if vote.probabilities is None else vote.probabilities[label]
            return vote.reading is Reading.REASONED, belief, vote.order is Order.AB, -vote.sample

        return max(backing, key=strength, default=None)
