"""Which comparisons a round judges: the whole pool, or a fresh slice of it, drawn at random or easiest first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gramr2.comparison import Comparison
from gramr2.config.judge import EvaluationSampling
from gramr2.files import write_json
from gramr2.judging.template import JudgeMode
from gramr2.randomness import fraction
from gramr2.selftraining.run.context import RunContext


def slice_of(context: RunContext, number: int, model: Path) -> list[Comparison]:
    """The comparisons of round ``number``, in the pool's order; drawn once and written to ``rounds/N/slice.json``.

    ``easy_first`` asks the judge in ``model`` for a verdict without a rationale, greedily and in both orders: each order
    costs a prefill and no generated text.
    """
    pool, curriculum = context.data.pool, context.config.curriculum
    if curriculum.per_round is None:
        return list(pool)
    file = context.folder.round(number) / "slice.json"
    if not file.exists():
        used: set[str] = set()
        for earlier in range(1, number):
            used.update(json.loads((context.folder.round(earlier) / "slice.json").read_text(encoding="utf-8")))
        left = [c for c in pool if c.id not in used]
        write_json(file, _draw(context, number, model, left)[: curriculum.per_round])
    chosen = set(json.loads(file.read_text(encoding="utf-8")))
    return [c for c in pool if c.id in chosen]


def _draw(context: RunContext, number: int, model: Path, left: list[Comparison]) -> list[str]:
    """Ids in the order in which they are drawn."""
    ease = {c.id: 0.0 for c in left}
    if context.config.curriculum.order == "easy_first" and left:
        template = replace(context.template, mode=JudgeMode.LABEL)
        title = f"round {number} · find the easy ones of {len(left)} comparisons"
        for decision in context.judge(title, model, left, EvaluationSampling(), template):
            ease[decision.id] = decision.confidence or 0.0
    return sorted(ease, key=lambda name: (-ease[name], fraction(context.config.seed, "pool", name), name))
