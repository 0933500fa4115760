"""Rationales for seed comparisons without one, from the model's own votes: those that reach the label are learnt (STaR)."""

from __future__ import annotations

from dataclasses import replace

from gramr2.comparison import LabeledComparison
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.judgment import REASONED
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.rationales.sources import joint
from gramr2.selftraining.run.context import RunContext


def with_own_rationales(context: RunContext) -> list[LabeledComparison]:
    """The seed, with missing rationales filled in by the pretrained model; also written to ``rounds/0/seed.jsonl``.

    A comparison on which no vote reaches the label stays without one. A rationale is learnt in the order it was written for.
    """
    seed = list(context.data.seed)
    bare = [index for index, item in enumerate(seed) if item.rationale is None]
    if not bare:
        return seed
    config = context.config
    votes = config.rationale.own_for_seed
    sampling = config.judge.pool.model_copy(update={"votes": votes, "stop_certainty": None, "orders": "both"})
    model = context.engine.backbone(config.model)
    title = f"find rationales for {len(bare)} seed comparisons"
    decisions = context.judge(title, model, [seed[index].comparison for index in bare], sampling, readings=REASONED)
    found = 0
    for index, decision in zip(bare, decisions, strict=True):
        item = seed[index]
        written = joint(
            Candidate(item.comparison, replace(decision, label=item.label), None), context.template.principles
        )
        if written.rationale:
            shown = item.swap() if written.swapped else item
            seed[index], found = replace(shown, rationale=written.rationale), found + 1
    if found < len(bare):
        context.observer.note(
            f"for {len(bare) - found} of {len(bare)} seed comparisons without a rationale, no vote reached the label; they stay "
            "label-only"
        )
    write_jsonl(context.folder.round(0) / "seed.jsonl", map(labeled_row, seed))
    return seed
