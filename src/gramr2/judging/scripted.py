"""The scripted judges that a model name can select: the baselines that a trained judge has to beat."""

from __future__ import annotations

import random

from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import Script, ScriptedBackend
from gramr2.comparison import Label
from gramr2.errors import ModelNotFoundError
from gramr2.judging.template import CONCLUSIONS, extract
from gramr2.text import hint


def verdict_text(label: Label, reason: str = "Scripted.") -> str:
    """A well-formed answer that states ``label``."""
    return f"<think>\n{reason}\n{CONCLUSIONS[label]}\n</think>\n<answer>{label.value}</answer>"


def _always_a(request: GenerationRequest, seed: int) -> str:
    return verdict_text(Label.A, "Response A stands first.")


def _longer(request: GenerationRequest, seed: int) -> str:
    try:
        _, first, second = extract(request.messages)
    except ValueError:
        return "This is no comparison."  # such as a single response to grade: no vote
    label = Label.TIE if len(first) == len(second) else Label.A if len(first) > len(second) else Label.B
    return verdict_text(label, f"Response A has {len(first)} characters, Response B has {len(second)}.")


def _random(request: GenerationRequest, seed: int) -> str:
    return verdict_text(random.Random(seed).choice([Label.A, Label.B]), "Response A or Response B: a coin decides.")


SCRIPTS: dict[str, Script] = {"always-a": _always_a, "longer": _longer, "random": _random}


def scripted(name: str) -> ScriptedBackend:
    """The scripted judge of that name.

    Raises:
        ModelNotFoundError: there is none.
    """
    if name not in SCRIPTS:
        raise ModelNotFoundError(
            f"there is no scripted judge {name!r}{hint(name, SCRIPTS)}: take one of {', '.join(SCRIPTS)}"
        )
    return ScriptedBackend(SCRIPTS[name], f"scripted:{name}")
