"""A plan with its price: operations, seconds, memory and disk, expected and at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gramr2.config import RunConfig
from gramr2.selftraining.cost.arithmetic import FP32, Shape, judging_bytes, training_bytes
from gramr2.selftraining.cost.parts import AT_MOST, Assumptions
from gramr2.selftraining.cost.plan import plan
from gramr2.selftraining.cost.probe import ROWS
from gramr2.selftraining.cost.rates import Rates
from gramr2.selftraining.cost.sizes import Sizes
from gramr2.selftraining.cost.stages import Kind, Stage
from gramr2.training.arguments import ACTIVATION_BYTES, ACTIVATION_BYTES_CPU, SHARE_OF_RAM
from gramr2.training.checkpoints import BYTES, SPARE

RECORD, LETTERS = 400.0, 4.0
"""bytes of a journal's record without a probe, and of a generated token"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What memory and precision depend on.

    Args:
        cpu: whether it computes on a CPU.
        itemsize: bytes of a weight of a model that judges.
        bf16: whether products of a training are in bf16.
        free: bytes of memory that are free.
    """

    cpu: bool
    itemsize: int
    bf16: bool
    free: int


@dataclass(frozen=True, slots=True)
class Priced:
    """A stage with its price; ``seconds`` are None without a probe, ``flops`` where the model's shape is not known."""

    stage: Stage
    flops: float | None
    seconds: float | None
    disk: float

    def row(self) -> dict[str, Any]:
        """As JSON."""
        stage = self.stage
        return {
            "stage": stage.name,
            "kind": stage.kind.value,
            "comparisons": round(stage.comparisons),
            "requests": round(stage.requests),
            "samples": round(sum(each.requests * each.votes for each in stage.asked)),
            "prompt_tokens": round(stage.prompt_tokens),
            "generated_tokens": round(stage.generated_tokens),
            "trained_tokens": round(stage.trained_tokens),
            "steps": round(stage.steps),
            "flops": self.flops,
            "seconds": self.seconds,
            "disk_bytes": round(self.disk),
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """Every stage as expected and at most, memory by what it is for, and disk that stays or is needed in between."""

    expected: tuple[Priced, ...]
    most: tuple[Priced, ...]
    memory: Mapping[str, float]
    disk_between: float
    rates: Rates | None

    def total(self, *, most: bool = False) -> dict[str, Any]:
        """Sums over the stages."""
        rows = [each.row() for each in (self.most if most else self.expected)]
        names = (
            "requests",
            "samples",
            "prompt_tokens",
            "generated_tokens",
            "trained_tokens",
            "flops",
            "seconds",
            "disk_bytes",
        )
        return {
            name: None if any(row[name] is None for row in rows) else sum(row[name] for row in rows) for name in names
        }

    def as_json(self) -> dict[str, Any]:
        """The whole of it."""
        return {
            "stages": [
                each.row() | {"generated_tokens_at_most": top.row()["generated_tokens"], "seconds_at_most": top.seconds}
                for each, top in zip(self.expected, self.most, strict=True)
            ],
            "total": self.total(),
            "total_at_most": self.total(most=True),
            "memory_bytes": dict(self.memory),
            "disk_bytes_in_between": round(self.disk_between),
            "probe": None if self.rates is None else asdict(self.rates),
        }


def estimate(
    config: RunConfig,
    sizes: Sizes,
    shape: Shape | None,
    machine: Machine | None,
    rates: Rates | None,
    assumed: Assumptions | None = None,
) -> Estimate:
    """Price a run.

    Args:
        shape: the backbone's; None for a model behind an API, which has tokens only.
        machine: where it runs.
        rates: what a probe measured; without one there are no seconds.
        assumed: what is not known before a run.
    """
    stages, most = plan(config, sizes, assumed), plan(config, sizes, AT_MOST)
    memory = {} if shape is None or machine is None else memory_of(config, sizes, shape, machine, most)
    between = 0.0 if shape is None else _between(config, shape)
    return Estimate(
        tuple(priced(config, stages, shape, rates)), tuple(priced(config, most, shape, rates)), memory, between, rates
    )


def priced(config: RunConfig, stages: Sequence[Stage], shape: Shape | None, rates: Rates | None) -> list[Priced]:
    """The stages with operations, seconds and bytes on disk."""
    adapters, found, opened = config.training.method == "lora", [], ""
    for stage in stages:
        seconds = None if rates is None else _seconds(stage, rates, stage.model == opened)
        # A training frees the model that is loaded.
        opened = "" if stage.kind in (Kind.TRAIN, Kind.WARM_UP) else stage.model
        answers, written = stage.journaled
        record = RECORD if rates is None else rates.record
        disk = stage.kept + answers * record + LETTERS * written
        if stage.kind in (Kind.TRAIN, Kind.WARM_UP) and shape:
            disk += FP32 * shape.parameters
        flops = None if shape is None else stage.flops(shape, adapters=adapters)
        found.append(Priced(stage, flops, seconds, disk))
    return found


def _seconds(stage: Stage, rates: Rates, opened: bool) -> float:
    if stage.kind is Kind.WARM_UP:
        read = stage.prompt_tokens / rates.prefill
        return read + rates.around_warm_up + stage.trained_tokens / (rates.warm_up or rates.training)
    if stage.kind is Kind.TRAIN:
        return rates.around * stage.trainings + stage.trained_tokens / rates.training
    computed = sum(each.computed for each in stage.asked)
    rate = rates.features if stage.kind is Kind.FEATURES and rates.features else rates.prefill
    decoding = stage.generated_tokens / rates.decode if rates.decode else 0.0
    return (0.0 if opened else rates.opening) + computed / rate + decoding


def memory_of(
    config: RunConfig, sizes: Sizes, shape: Shape, machine: Machine, stages: Sequence[Stage]
) -> dict[str, float]:
    """Bytes at most, while judging and while training, with the parts of the training."""
    asked = [each for stage in stages for each in stage.asked if stage.kind is Kind.JUDGE]
    longest = max((each.prompt.mean + each.generated for each in asked), default=0.0)
    judging = judging_bytes(shape, machine.itemsize, ROWS, longest, packed=machine.cpu)
    training = config.training
    rank = training.lora.rank if training.method == "lora" else None
    learnt = [each for stage in stages if stage.kind is Kind.TRAIN and stage.steps for each in stage.learnt]
    forms = (2 if training.verdict.weight else 0) + (2 if training.orders == "both" else 1) * (
        config.judge.mode == "reason"
    )
    each = max(1, forms) * max((part.whole.mean for part in learnt), default=0.0)
    per_token = ACTIVATION_BYTES_CPU if machine.cpu else ACTIVATION_BYTES
    micro = training.micro_batch_size or training.batch_size
    one = per_token * each * shape.hidden * shape.layers
    activations = micro * one
    if machine.cpu and training.micro_batch_size is None:
        activations = max(one, min(activations, SHARE_OF_RAM * machine.free))
    logits = micro * max(1, forms) * max((part.answer + 1 for part in learnt), default=0.0)
    whole = training_bytes(shape, rank, activations, logits, bf16=machine.bf16)
    trained = shape.trained(rank)
    return {
        "judging": judging,
        "training": whole,
        "weights": FP32 * shape.parameters,
        "gradients": FP32 * trained,
        "moments": 2 * FP32 * trained,
        "activations": activations,
        "cache": shape.cache(ROWS * longest, machine.itemsize),
        "peak": max(judging, whole),
    }


def _between(config: RunConfig, shape: Shape) -> float:
    """Bytes that trainings need while they last: a checkpoint with the model beside it, and the members of a soup."""
    rank = config.training.lora.rank if config.training.method == "lora" else None
    members = config.training.soup * FP32 * shape.parameters if config.training.soup > 1 else 0
    return SPARE * BYTES * shape.trained(rank) + members
