"""A judge from what the user typed after ``--model``."""

from __future__ import annotations

import json
from pathlib import Path

from gramr2.errors import ModelError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judging.template import PROMPT_FILE, JudgeMode, JudgeTemplate


def open_judge(
    model: str, *, votes: int, orders: str, temperature: float, max_new_tokens: int, close: bool, mode: str | None
) -> Judge:
    """A scripted judge, or a transformers model.

    A judge that gramr2 trained brings the prompt it was trained with (mode and principles); other models get the default
    one. ``mode`` overrides.
    """
    sampling = Sampling(
        votes=votes,
        orders=Orders(orders),
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        close_on_budget=close,
    )
    if model.startswith("scripted:"):
        return Judge(scripted(model.removeprefix("scripted:")), _template(None, mode), sampling)
    if model.startswith("openai:"):
        raise ModelError(
            "openai: models are not supported yet; give a local folder, a hub id, a .gguf file or a named model"
        )
    from gramr2.backends.registry import resolve
    from gramr2.backends.transformers import TransformersBackend

    return Judge(TransformersBackend(model), _template(resolve(model), mode), sampling)


def _template(folder: Path | None, mode: str | None) -> JudgeTemplate:
    saved = folder / PROMPT_FILE if folder else None
    settings = json.loads(saved.read_text(encoding="utf-8")) if saved and saved.is_file() else {}
    return JudgeTemplate(JudgeMode(mode or settings.get("mode", "reason")), tuple(settings.get("principles", ())))
