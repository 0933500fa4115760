"""A judge from what the user typed after ``--model``."""

from __future__ import annotations

from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.saved import load_template
from gramr2.judging.scripted import scripted
from gramr2.judging.template import JudgeMode


def open_judge(
    model: str,
    *,
    votes: int,
    orders: str,
    temperature: float | None,
    max_new_tokens: int,
    close: bool,
    mode: str | None,
) -> Judge:
    """A scripted judge, a remote one, or a transformers model, from the flags that the commands share.

    A judge that gramr2 trained brings the prompt it was trained with (mode and principles); other models get the default
    one. ``mode`` overrides. Without a temperature one vote is greedy and several are sampled at 0.75.

    Raises:
        ConfigError: a flag has a value that is not known.
        ModelError: there is no such model.
    """
    require(orders, tuple(Orders), "--orders")
    if mode is not None:
        require(mode, tuple(JudgeMode), "--mode")
    sampling = Sampling(
        votes=votes,
        orders=Orders(orders),
        temperature=temperature if temperature is not None else (0.0 if votes == 1 else 0.75),
        max_new_tokens=max_new_tokens,
        close_on_budget=close,
    )
    if model.startswith("scripted:"):
        return Judge(scripted(model.removeprefix("scripted:")), load_template(None, mode), sampling)
    if model.startswith("openai:"):
        from gramr2.backends.openai import OpenAIBackend

        return Judge(OpenAIBackend(model.removeprefix("openai:")), load_template(None, mode), sampling)
    from gramr2.backends.registry import resolve
    from gramr2.backends.transformers import TransformersBackend

    return Judge(TransformersBackend(model), load_template(resolve(model), mode), sampling)


def require(value: str, allowed: tuple[str, ...], flag: str) -> None:
    """Refuse a flag's value.

    Raises:
        ConfigError: it is not one of the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{flag} {value!r} is not known: take one of {', '.join(allowed)}")
