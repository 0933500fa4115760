"""The second view in a run: a cheap model on other features, fitted on the same seed, that helps to label (co-training).

A judge that learns from its own confident labels only learns what it already knew. A model that makes different mistakes
moves the labels where the two disagree (Blum and Mitchell 1998). With ``verdict_weight`` the finished judge asks it too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gramr2.baselines import BASELINES
from gramr2.baselines.view import FOLDER, load_view, save_view
from gramr2.comparison import Comparison
from gramr2.data import subset
from gramr2.files import read_jsonl
from gramr2.judging.second_view import Opinion, SecondView, log_odds, spread
from gramr2.judging.voting import counted, said, top_label
from gramr2.judgment import Decision, LabelProbabilities, ReadingWeights
from gramr2.randomness import derive_seed
from gramr2.selftraining.gate.baselines import fitted, margins_of, setting_of
from gramr2.selftraining.run.context import RunContext

ASKED = 64
"""unlabelled comparisons that the spread of a judge's margins is measured on; gives it to about a tenth"""


def joined(
    decisions: Sequence[Decision],
    margins: Mapping[str, float],
    weight: float,
    cap: float | None = None,
    *,
    ties: bool = True,
) -> list[Decision]:
    """The decisions with the second view's margins added to the judge's (``gramr2.judging.second_view.Opinion``).

    A comparison is unchanged if the judge abstains on it or the view has no margin for it. The view casts no votes, so
    ``agreement`` and ``order_flip`` still describe the judge's votes.

    Args:
        margins: the view's log-odds of A over B, by comparison id.
        weight: weight of the view; the judge's is 1.
        cap: limit on the judge's margin, in units of its spread; None for no limit.
        ties: whether a vote may count for a tie.
    """
    own = {d.id: log_odds(d.probabilities) for d in decisions if d.probabilities is not None and d.id in margins}
    scale, other = spread(list(own.values())), spread([margins[name] for name in own])
    if not own or not other:
        return list(decisions)
    most = math.inf if cap is None else cap * scale
    result: list[Decision] = []
    for decision in decisions:
        probabilities = decision.probabilities
        if probabilities is None or decision.id not in own:
            result.append(decision)
            continue
        belief = Opinion(margins[decision.id], scale / other, weight, most).joined(probabilities)
        label = top_label(belief)
        votes = [vote for vote in decision.judgments if vote.reading in decision.readings]
        cast = [said(vote, ties) for vote in counted(votes or decision.judgments)]
        agreement = sum(each is label for each in cast) / len(cast) if cast else decision.agreement
        result.append(
            replace(decision, label=label, probabilities=belief, confidence=belief[label], agreement=agreement)
        )
    return result


def as_probabilities(margins: Mapping[str, float]) -> dict[str, LabelProbabilities]:
    """A view's log-odds as label probabilities for the second_view filter; P(tie) is 0, as the view has two labels."""
    return {name: Opinion(margin).alone for name, margin in margins.items()}


def deciding_view(context: RunContext, number: int, model: Path, readings: ReadingWeights) -> SecondView | None:
    """The view that a round's judge asks with every comparison, saved with the judge; None if the run's judges ask none.

    The spreads of both are measured once, on comparisons that the judge has not learnt, and hold for all to come. A judge or
    a view that prefers no response in any of them has no spread: then the judge is measured without the view.
    """
    settings = context.config.second_view
    if settings is None or not settings.verdict_weight:
        return None
    if (model / FOLDER).is_dir():
        return load_view(model, setting_of(context, settings.name, warmed=True))
    asked = subset(_not_learnt(context, number), ASKED, derive_seed(context.config.seed, "second view"))
    margins = margins_of(context, settings.name, asked, warmed=True)
    title = f"round {number} · spread of the margins on {len(asked)} comparisons"
    decisions = context.judge(title, model, asked, context.config.judge.gold, readings=readings)
    own = spread([log_odds(d.probabilities) for d in decisions if d.probabilities is not None])
    other = spread([*margins.values()])
    if not own or not other:
        who = "the judge" if not own else settings.name
        context.observer.note(
            f"round {number}: {who} prefers no response in any of {len(asked)} comparisons, so the judge's verdicts do not count "
            "the second view"
        )
        return None
    most = math.inf if settings.judge_cap is None else settings.judge_cap * own
    baseline = fitted(context, settings.name, warmed=True)
    view = SecondView(baseline, own / other, settings.verdict_weight, most)
    warmed = context.config.warmup is not None and BASELINES[settings.name].needs_backbone
    save_view(baseline, view, model, warmed=warmed)
    return view


def _not_learnt(context: RunContext, number: int) -> Sequence[Comparison]:
    """What the spread is measured on: the pool without what rounds have kept, or the whole of it if too little is left; without
    a pool, the seed."""
    kept = {
        row["id"]
        for each in range(1, number + 1)
        if (file := context.folder.round(each) / "kept.jsonl").exists()
        for row in read_jsonl(file)
    }
    pool = context.data.pool or [item.comparison for item in context.data.seed]
    left = [each for each in pool if each.id not in kept]
    return left if len(left) >= min(ASKED, len(pool)) // 2 else pool
