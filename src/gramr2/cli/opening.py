"""A judge from what the user typed after ``--model``."""

from __future__ import annotations

from dataclasses import replace

from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.saved import PROMPT_FILE, load_template
from gramr2.judging.scripted import scripted
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import BOTH, DIRECT, REASONED


def open_judge(
    model: str,
    *,
    votes: int,
    orders: str,
    temperature: float | None,
    max_new_tokens: int,
    close: bool,
    mode: str | None,
    verdict: str | None = None,
) -> Judge:
    """A scripted judge, a remote one, or a transformers model, from the flags that the commands share.

    A judge that gramr2 trained brings the prompt it was trained with (mode and principles); other models get the default
    one. ``mode`` overrides, and ``verdict`` says where verdicts are read: a trained judge brings that along too, and
    of an untrained model both readings count, so that it decides even where it does not come to the end of a
    rationale. Without a temperature one vote is greedy and several are sampled at 0.75.

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
    if verdict is not None:
        require(verdict, ("direct", "reasoned", "both"), "--verdict")
    if model.startswith("scripted:"):
        return Judge(scripted(model.removeprefix("scripted:")), _read(load_template(None, mode), verdict), sampling)
    if model.startswith("openai:"):
        from gramr2.backends.openai import OpenAIBackend

        return Judge(OpenAIBackend(model.removeprefix("openai:")), _read(load_template(None, mode), verdict), sampling)
    from gramr2.backends.registry import resolve
    from gramr2.backends.transformers import TransformersBackend

    folder = resolve(model)
    template = load_template(folder, mode)
    if verdict is None and not (folder / PROMPT_FILE).is_file():
        verdict = "both"
    return Judge(TransformersBackend(model), _read(template, verdict), sampling)


def _read(template: JudgeTemplate, verdict: str | None) -> JudgeTemplate:
    """The template with another reading, where one is asked for; a judge that was trained to be read both ways keeps
    its weights."""
    weights = {"direct": DIRECT, "reasoned": REASONED, "both": BOTH}.get(verdict or "")
    fits = weights is None or weights.asked == template.readings.asked
    return template if fits or weights is None else replace(template, readings=weights)


def require(value: str, allowed: tuple[str, ...], flag: str) -> None:
    """Refuse a flag's value.

    Raises:
        ConfigError: it is not one of the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{flag} {value!r} is not known: take one of {', '.join(allowed)}")
