"""What a run will cost, from its config and its data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from gramr2.backends.counting import TokenizerCounter
from gramr2.backends.hardware import choose_device, choose_dtype
from gramr2.backends.memory import free_memory
from gramr2.backends.openai import PREFIX
from gramr2.comparison import Message
from gramr2.config import RunConfig
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.cost.arithmetic import Shape
from gramr2.selftraining.cost.estimate import Estimate, Machine, estimate
from gramr2.selftraining.cost.parts import Assumptions
from gramr2.selftraining.cost.plan import plan
from gramr2.selftraining.cost.probe import probe
from gramr2.selftraining.cost.sizes import Encode, Sizes, pieces, sizes_of
from gramr2.selftraining.run.data import RunData, fit_to_budget
from gramr2.selftraining.run.engine import LocalEngine
from gramr2.training.parts import in_bf16


def cost_of(
    config: RunConfig,
    data: RunData,
    assumed: Assumptions | None = None,
    *,
    probed: bool = True,
    note: Callable[[str], None] = lambda text: None,
    clock: Callable[[], float] = time.monotonic,
) -> Estimate:
    """Plan a run and price it.

    Args:
        data: what ``load_data`` returns.
        assumed: what is not known before a run.
        probed: measure this machine; without it there are operations, memory and disk, but no seconds.
        note: told what a probe measures next.
        clock: seconds that a probe measures with.

    A model behind an API has tokens alone, estimated from characters, as only its server has the tokenizer.

    Raises:
        ModelError: the model cannot be loaded, or its config does not state its shape.
        PromptTooLongError: comparisons exceed the token budget, and the config refuses them.
    """
    if config.model.name.startswith(PREFIX):
        return estimate(config, sizes_of(config, data, pieces), None, None, None, assumed)
    folder, model = LocalEngine(config).backbone(config.model), config.model
    left, encode = _left(config, data, folder)
    sizes, shape = sizes_of(config, left, encode), Shape.of(folder)
    device = choose_device(model.device)
    machine = Machine(
        cpu=device.type == "cpu",
        itemsize=choose_dtype(model.dtype, device).itemsize,
        bf16=in_bf16(config.training.precision, device, shape.parameters),
        free=free_memory(),
    )
    rates = probe(config, left, plan(config, sizes, assumed), note, clock) if probed else None
    return estimate(config, sizes, shape, machine, rates, assumed)


def sizes_for(config: RunConfig, data: RunData) -> Sizes:
    """The sizes that a run's price is made from, in the tokens of its own model."""
    left, encode = _left(config, data, LocalEngine(config).backbone(config.model))
    return sizes_of(config, left, encode)


def _left(config: RunConfig, data: RunData, folder: Path) -> tuple[RunData, Encode]:
    """The data that fit the token budget, and what counts their tokens."""
    template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
    counter = TokenizerCounter(folder, config.model.chat_template_options, config.model.trust_remote_code)

    def encode(messages: tuple[Message, ...], start: str) -> list[int]:
        return (counter.encoder.prompt(messages) if messages else []) + counter.encoder.fragment(start)

    return fit_to_budget(data, config, template, counter), encode
