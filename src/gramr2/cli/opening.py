"""A judge from what the user typed after ``--model``."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from gramr2.errors import ModelError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import scripted
from gramr2.judging.template import JudgeMode, JudgeTemplate


def open_judge(
    model: str, *, votes: int, orders: str, temperature: float, max_new_tokens: int, close: bool, mode: str | None
) -> Judge:
    """A scripted judge, or a transformers model.

    A run folder brings its own prompt (mode and principles), whatever it was trained with; other models get the default
    one. ``mode`` overrides.
    """
    template = _template(model, mode)
    sampling = Sampling(
        votes=votes,
        orders=Orders(orders),
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        close_on_budget=close,
    )
    if model.startswith("scripted:"):
        return Judge(scripted(model.removeprefix("scripted:")), template, sampling)
    if model.startswith("openai:"):
        raise ModelError(
            "openai: models are not supported yet; give a local folder, a hub id, a .gguf file or a named model"
        )
    from gramr2.backends.transformers import TransformersBackend

    return Judge(TransformersBackend(model), template, sampling)


def _template(model: str, mode: str | None) -> JudgeTemplate:
    folder = Path(model)
    for run in (folder, folder.parent, folder.parent.parent.parent):
        if (run / "run.yaml").is_file() and folder.is_dir():
            settings = yaml.safe_load((run / "run.yaml").read_text(encoding="utf-8"))["judge"]
            return JudgeTemplate(JudgeMode(mode or settings["mode"]), tuple(settings["principles"]))
    saved = folder / "gramr2_judge.json"
    if saved.is_file():
        settings = json.loads(saved.read_text(encoding="utf-8"))
        return JudgeTemplate(JudgeMode(mode or settings["mode"]), tuple(settings["principles"]))
    return JudgeTemplate(JudgeMode(mode or "reason"))
