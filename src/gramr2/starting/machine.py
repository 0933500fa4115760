"""What a run has to fit: memory, a GPU, and the context of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gramr2.backends.memory import free_memory
from gramr2.comparison import Comparison
from gramr2.config.judge import JudgeConfig
from gramr2.errors import ModelError
from gramr2.judging.budget import BRIDGE_TOKENS
from gramr2.judging.template import JudgeMode, JudgeTemplate

SUGGESTED = (
    ("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1.7),
    ("Qwen/Qwen3-4B-Instruct-2507", 4.0),
    ("meta-llama/Llama-3.1-8B-Instruct", 8.0),
)
"""instruction-tuned models of the hub, with billions of parameters"""
FULL, LORA = 18 * 1.2, 6 * 1.2
"""bytes a parameter while all weights, or an adapter, are trained in fp32 beside a backbone in bf16; a fifth for activations"""
CHARACTERS = 4
"""of a token, where there is no tokenizer to count with"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes of free memory, and of the first GPU that torch sees."""

    free: int
    gpu: int | None = None
    gpu_name: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """How a comparison's prompt is counted, and how many tokens of it a model takes that judges it; ``most`` is None if it is not
    known here."""

    count: Callable[[Comparison], int]
    most: int | None


def this_machine() -> Machine:
    """This one. Without torch it has no GPU."""
    try:
        import torch
    except ImportError:
        return Machine(free_memory())
    if not torch.cuda.is_available():
        return Machine(free_memory())
    return Machine(free_memory(), torch.cuda.get_device_properties(0).total_memory, torch.cuda.get_device_name(0))


def suggestions(machine: Machine) -> list[str]:
    """Models of the hub with the GPU memory that each takes; of those that fit, if there is a GPU."""
    found = []
    for name, billions in SUGGESTED:
        full, lora = billions * FULL, billions * LORA
        if machine.gpu is not None and lora > machine.gpu / 1e9:
            continue
        way = f"{lora:.0f} GB with training.method: lora, {full:.0f} GB with all weights"
        found.append(f"{name} ({billions:g}B): {way}")
    return found


def budget(model: str) -> Budget:
    """The tokens of a label-only prompt in a model that is on this machine, else an estimate from characters."""
    template = JudgeTemplate(JudgeMode.LABEL, ())

    def estimated(comparison: Comparison) -> int:
        return sum(len(turn.content) for turn in template.render(comparison)) // CHARACTERS

    try:
        from gramr2.backends.counting import TokenizerCounter
        from gramr2.backends.registry import resolve_offline

        counter = TokenizerCounter(resolve_offline(model))
    except (ModelError, ImportError):
        return Budget(estimated, None)
    most = counter.context_length - BRIDGE_TOKENS - JudgeConfig().gold.max_new_tokens
    return Budget(lambda comparison: counter.count_tokens(template.render(comparison), template.prefill), most)
