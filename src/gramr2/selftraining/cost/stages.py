"""The stages of a plan, and what each asks of a model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gramr2.selftraining.cost.arithmetic import Shape, forward_flops, training_flops
from gramr2.selftraining.cost.sizes import Lengths


class Kind(StrEnum):
    """What a stage does: ``read`` and ``features`` are forward passes alone."""

    JUDGE = "judge"
    READ = "read"
    FEATURES = "features"
    TRAIN = "train"
    WARM_UP = "warm-up"


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests to a model: ``requests`` prompts, each computed once, and ``votes`` samples of ``generated`` tokens for each.

    ``journaled`` says whether the answers are kept.
    """

    requests: float
    prompt: Lengths
    votes: int = 1
    generated: float = 0.0
    journaled: bool = True

    @property
    def prompt_tokens(self) -> float:
        """Tokens of all prompts."""
        return self.requests * self.prompt.mean

    @property
    def computed(self) -> float:
        """Those that are computed: what all prompts begin with is computed once for many."""
        return self.requests * (self.prompt.mean - self.prompt.shared)

    @property
    def generated_tokens(self) -> float:
        """Tokens of all samples."""
        return self.requests * self.votes * self.generated

    def flops(self, shape: Shape) -> float:
        """Operations of prefill and decoding."""
        shared, samples = self.prompt.shared, self.requests * self.votes
        prefill = forward_flops(
            shape, self.computed, self.requests * (self.prompt.square - shared * shared), self.requests
        )
        seen = 2 * self.prompt.mean + self.generated
        return prefill + forward_flops(
            shape, self.generated_tokens, samples * self.generated * seen, self.generated_tokens
        )


@dataclass(frozen=True, slots=True)
class Learnt:
    """Sequences of a training set: ``count`` of these lengths, answers included, of which ``answer`` tokens carry loss."""

    count: float
    whole: Lengths
    answer: float

    @property
    def tokens(self) -> float:
        """Of one pass."""
        return self.count * self.whole.mean

    def flops(self, shape: Shape, *, adapters: bool, recompute: bool = False) -> float:
        """Operations of one pass."""
        logits = self.count * (self.answer + 1)
        forward = forward_flops(shape, self.tokens, self.count * self.whole.square, logits)
        return training_flops(forward, adapters=adapters, recompute=recompute)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run.

    Args:
        name: as the run tells it.
        kind: what it does.
        comparisons: comparisons that it works on.
        model: which model it needs; loading one costs time.
        asked: requests.
        learnt: sequences of one pass of training.
        passes: passes over them, in all trainings of the stage.
        steps: optimiser steps, in all trainings of the stage.
        trainings: each is loaded and saved.
        kept: bytes of rows that it writes beside the journal.
    """

    name: str
    kind: Kind
    comparisons: float
    model: str
    asked: tuple[Asked, ...] = ()
    learnt: tuple[Learnt, ...] = ()
    passes: float = 0.0
    steps: float = 0.0
    trainings: int = 0
    kept: float = 0.0

    @property
    def requests(self) -> float:
        """Prompts."""
        return sum(each.requests for each in self.asked)

    @property
    def prompt_tokens(self) -> float:
        """Of all requests."""
        return sum(each.prompt_tokens for each in self.asked)

    @property
    def generated_tokens(self) -> float:
        """Of all samples."""
        return sum(each.generated_tokens for each in self.asked)

    @property
    def trained_tokens(self) -> float:
        """Of all passes."""
        return self.passes * sum(each.tokens for each in self.learnt)

    @property
    def journaled(self) -> tuple[float, float]:
        """Answers that the journal keeps, and the tokens in them."""
        kept = [each for each in self.asked if each.journaled]
        return sum(each.requests * each.votes for each in kept), sum(each.generated_tokens for each in kept)

    def flops(self, shape: Shape, *, adapters: bool, recompute: bool = False) -> float:
        """Operations."""
        trained = sum(each.flops(shape, adapters=adapters, recompute=recompute) for each in self.learnt)
        return sum(each.flops(shape) for each in self.asked) + self.passes * trained
