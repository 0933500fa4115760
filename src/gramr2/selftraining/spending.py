"""What the decisions on a pool took, and how many of those that took less than all votes are other with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gramr2.comparison import Comparison
from gramr2.data.split import subset
from gramr2.judging.saved import load_template
from gramr2.judging.template import JudgeMode
from gramr2.judgment import Decision, Reading
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.records import VoteCounts


def spent(
    context: RunContext, number: int, model: Path, slice_: Sequence[Comparison], decisions: Sequence[Decision]
) -> VoteCounts | None:
    """Count the votes of a round's judging, and give ``judge.pool.audit`` of the comparisons that were spared some all of them.

    Args:
        slice_: what was judged.
        decisions: of the judge alone, in the same order.

    Returns:
        None if nothing can be spared: voting never stops early, or the verdict is read directly.
    """
    settings = context.config.judge.pool
    cast = [sum(vote.reading is Reading.REASONED for vote in each.judgments) for each in decisions]
    # Not by the votes cast: all comparisons may have been certain directly.
    writes = context.template.mode is JudgeMode.REASON and load_template(model).readings.reasoned > 0
    if (settings.stop_certainty is None and settings.direct_certainty is None) or not writes:
        return None
    most = settings.votes * (2 if settings.orders == "both" else 1)
    spared = [comparison for comparison, count in zip(slice_, cast, strict=True) if count < most]
    drawn = subset(spared, settings.audit, context.config.seed)
    differ = 0
    if drawn:
        title = f"round {number} · give {len(drawn)} comparisons all their votes, to count other decisions"
        whole = settings.model_copy(update={"stop_certainty": None, "direct_certainty": None})
        labels = {each.id: each.label for each in decisions}
        differ = sum(each.label is not labels[each.id] for each in context.judge(title, model, drawn, whole))
    return VoteCounts(
        cast=sum(cast),
        most=most * len(slice_),
        direct=sum(count == 0 for count in cast),
        audited=len(drawn),
        differ=differ,
    )
