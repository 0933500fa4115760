"""A judge, or a baseline, from what the user typed after ``--model``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gramr2.baselines import BASELINES, Baseline
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
    if _names_baseline(model):
        raise ConfigError(
            f"{model} is a baseline, which gramr2 judge and gramr2 eval take: give a model that judges here"
        )
    if model.startswith("scripted:"):
        return Judge(scripted(model.removeprefix("scripted:")), _read(load_template(None, mode), verdict), sampling)
    if model.startswith("openai:"):
        from gramr2.backends.openai import OpenAIBackend

        return Judge(OpenAIBackend(model.removeprefix("openai:")), _read(load_template(None, mode), verdict), sampling)
    from gramr2.backends.registry import resolve
    from gramr2.backends.transformers import TransformersBackend

    folder = resolve(model)
    template = load_template(folder, mode)
    if verdict is None and template.mode is JudgeMode.REASON and not (folder / PROMPT_FILE).is_file():
        verdict = "both"
    return Judge(TransformersBackend(model), _read(template, verdict), sampling)


def _read(template: JudgeTemplate, verdict: str | None) -> JudgeTemplate:
    """The template with another reading, where one is asked for; a judge that was trained to be read both ways keeps
    its weights.

    Raises:
        ConfigError: a rationale is to be read of a judge that writes none.
    """
    if template.mode is JudgeMode.LABEL and verdict in ("reasoned", "both"):
        raise ConfigError(
            f"--verdict {verdict} reads a rationale, and this judge writes none (mode label): leave it out"
        )
    weights = {"direct": DIRECT, "reasoned": REASONED, "both": BOTH}.get(verdict or "")
    fits = weights is None or weights.asked == template.readings.asked
    if fits or weights is None:
        return template
    return replace(template, readings=replace(weights, ties=template.readings.ties))


def open_baseline(model: str, given: Mapping[str, bool]) -> Baseline | None:
    """The baseline that ``--model`` names, ``longer`` or NAME:RUN; None if it names none.

    Args:
        given: flags that a baseline has no use for, and whether the user gave them another value than the default.

    Raises:
        ConfigError: one of those flags is given, or the name and the run do not go together.
        RunError: there is no such run.
    """
    if not _names_baseline(model):
        return None
    vain = next((flag for flag, is_given in given.items() if is_given), None)
    if vain:
        raise ConfigError(f"{vain} means nothing to the baseline {model}: leave it out")
    from gramr2.selftraining.baselines import from_run

    name, _, run = model.partition(":")
    return from_run(name, run)


def given(
    *,
    votes: int,
    orders: str,
    temperature: float | None,
    max_new_tokens: int,
    close: bool,
    mode: str | None,
    verdict: str | None,
) -> dict[str, bool]:
    """Which of the flags that say how a judge judges have another value than the default."""
    return {
        "--votes": votes != 1,
        "--orders": orders != "both",
        "--temperature": temperature is not None,
        "--max-new-tokens": max_new_tokens != 256,
        "--close": close,
        "--mode": mode is not None,
        "--verdict": verdict is not None,
    }


def _names_baseline(model: str) -> bool:
    return model.partition(":")[0] in BASELINES


def require(value: str, allowed: tuple[str, ...], flag: str) -> None:
    """Refuse a flag's value.

    Raises:
        ConfigError: it is not one of the allowed ones.
    """
    if value not in allowed:
        raise ConfigError(f"{flag} {value!r} is not known: take one of {', '.join(allowed)}")
