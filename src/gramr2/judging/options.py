"""How a judge is asked, whatever its name: the options of ``gramr2.load_judge``, which are also flags."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from gramr2.errors import ConfigError
from gramr2.judging.judge import Orders, Sampling
from gramr2.judging.saved import own_prompt
from gramr2.judging.template import JudgeMode
from gramr2.judgment import BOTH, DIRECT, REASONED, ReadingWeights
from gramr2.text import hint


class Dtype(StrEnum):
    """Number format of a model's weights; auto is fp32 on a CPU, and bf16 on a GPU that supports it; fast is auto, but bf16 on a
    CPU that multiplies it in tiles (AMX) too."""

    AUTO = "auto"
    FAST = "fast"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class EngineKind(StrEnum):
    """Where a model runs: in this process, or in workers that Ray places."""

    LOCAL = "local"
    RAY = "ray"


class BackendKind(StrEnum):
    """What runs a model on this machine."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"


REASONED_TOKENS, EXPLAINED = 256, 1024
"""budgets of a rationale in gramr2's own form, and of an explanation that another prompt asks for"""


class Kind(StrEnum):
    """What a name stands for."""

    BASELINE = "baseline"
    SERVER = "server"
    REWARD_MODEL = "reward model"
    JUDGE = "judge"


APPLY = {
    Kind.BASELINE: frozenset[str](),
    Kind.SERVER: frozenset[str](),
    Kind.REWARD_MODEL: frozenset({"dtype", "device", "trust_remote_code"}),
}
"""the options that mean something to what writes no text here"""


class Verdict(StrEnum):
    """Where a verdict is read: see ``gramr2.judgment.Reading``."""

    DIRECT = "direct"
    REASONED = "reasoned"
    BOTH = "both"

    @property
    def weights(self) -> ReadingWeights:
        """The weight of each reading."""
        return {Verdict.DIRECT: DIRECT, Verdict.REASONED: REASONED, Verdict.BOTH: BOTH}[self]


def require(value: str, allowed: tuple[str, ...], name: str) -> None:
    """Check the value of an option or a flag.

    Raises:
        ConfigError: it is not one of the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{name} {value!r} is not known{hint(value, allowed)}: take one of {', '.join(allowed)}")


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How a model is asked; the command line has flags of the same names.

    Args:
        votes: samples in each order.
        orders: ``both``, or ``first`` for only the stored one.
        temperature: default: 0 for one vote, 0.75 for several.
        max_new_tokens: budget of a rationale; default: 256, or 1024 with a ``prompt``, which asks for explanations.
        close: read the verdict of a rationale that used up its budget; otherwise the vote counts as truncated.
        stop_certainty: stop voting on a comparison once its majority is this certain.
        direct_certainty: write no rationale where the direct reading is this certain and its orders agree.
        mode: ``reason`` or ``label``; default: what the model was trained for.
        verdict: ``direct``, ``reasoned`` or ``both``; default: as the judge was trained to be read, and ``both`` for others.
        prompt: ask with a prompt of the field, and read the verdict as it is written there: ``mt-bench``, ``arena-hard``,
            ``prometheus``, ``rewardbench``, or a file (docs/judging.md). A run's or an exported judge's folder means its own
            prompt, for a judge that another server serves (``openai:``).
        backend: ``transformers``, or ``vllm`` for many comparisons on a GPU.
        dtype: ``auto``, ``fast``, ``float32``, ``bfloat16`` or ``float16``; auto is fp32 on a CPU.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        second_view: count the second view that was saved with the judge, if one was.
        trust_remote_code: run Python code that comes with the model.
        engine: ``local`` is this process; ``ray`` are workers in the cluster that ``RAY_ADDRESS`` names, or on this machine.
        workers: how many, with ray; default: one for each GPU or, where there is none, for each machine.

    Raises:
        ConfigError: a value is not known.
    """

    votes: int = 1
    orders: str = Orders.BOTH
    temperature: float | None = None
    max_new_tokens: int | None = None
    close: bool = False
    stop_certainty: float | None = None
    direct_certainty: float | None = None
    mode: str | None = None
    verdict: str | None = None
    prompt: str | None = None
    backend: str = BackendKind.TRANSFORMERS
    dtype: str = Dtype.AUTO
    device: str = "auto"
    second_view: bool = True
    trust_remote_code: bool = False
    engine: str = EngineKind.LOCAL
    workers: int | None = None

    def __post_init__(self) -> None:
        known = {
            "orders": tuple(Orders),
            "mode": tuple(JudgeMode),
            "verdict": tuple(Verdict),
            "backend": tuple(BackendKind),
            "engine": tuple(EngineKind),
        }
        for name, allowed in known.items():
            value = getattr(self, name)
            if value is not None:
                require(value, allowed, name)
        for name in ("votes", "max_new_tokens"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} is too few: take at least 1")
        if self.workers is not None and (self.workers < 1 or self.engine == EngineKind.LOCAL):
            raise ConfigError(
                f"workers {self.workers} does not go with engine {self.engine}: take engine ray and at least 1"
            )
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature {self.temperature} is not valid: take 0 or more")
        for name in ("stop_certainty", "direct_certainty"):
            value = getattr(self, name)
            if value is not None and not 0.5 < value < 1:
                raise ConfigError(f"{name} {value} is not valid: take a probability between 0.5 and 1")

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the options that differ from their defaults."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) != each.default)

    @property
    def budget(self) -> int:
        """``max_new_tokens``, or its default."""
        foreign = self.prompt and own_prompt(self.prompt) is None
        return self.max_new_tokens or (EXPLAINED if foreign else REASONED_TOKENS)

    @property
    def settings(self) -> dict[str, Any]:
        """Every option by name, as an evaluation keeps them: with the budget, and without a prompt where there is none."""
        kept = {each.name: getattr(self, each.name) for each in fields(self)} | {"max_new_tokens": self.budget}
        return {name: value for name, value in kept.items() if name != "prompt" or value is not None}

    @property
    def sampling(self) -> Sampling:
        """The options as a ``Sampling``."""
        return Sampling(
            votes=self.votes,
            orders=Orders(self.orders),
            temperature=self.temperature if self.temperature is not None else (0.0 if self.votes == 1 else 0.75),
            max_new_tokens=self.budget,
            close_on_budget=self.close,
            stop_certainty=self.stop_certainty,
            direct_certainty=self.direct_certainty,
        )
