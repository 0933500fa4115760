"""What can be said of a judge's rationales on people's text, where no program knows which reasons are right.

Does a rationale come to an end, does it state the verdict that was read after it, does it speak of what is there. Whether
it leads to its label without stating it is ``gramr2.evaluation.readers``' question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.evaluation.metrics import accuracy_interval, wilson
from gramr2.evaluation.stated import concluded, contradicts
from gramr2.judging.quotations import copies, occurring, quotations
from gramr2.judging.template import OPENING
from gramr2.judgment import Decision, FinishReason, Outcome, Reading


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A reasoned vote with its comparison in the order that was shown; ``verdict`` and ``truth`` speak of that order too.

    ``verdict`` is None where none was read. ``ended`` is whether the judge closed its rationale or its turn by itself
    before the budget. ``group`` is shared by votes on one prompt.
    """

    comparison: Comparison
    rationale: str
    verdict: Label | None
    truth: Label
    ended: bool
    group: str


@dataclass(frozen=True, slots=True)
class Share:
    """A share of ``n``, None of nothing, with a 95 % interval: over prompts where some have several votes, else Wilson's."""

    share: float | None
    low: float | None
    high: float | None
    n: int
    interval: str


def reasoned_votes(
    items: Sequence[LabeledComparison], decisions: Sequence[Decision], max_new_tokens: int
) -> list[Reasoned]:
    """The reasoned votes of decisions, each in the order it was cast in; both in the same order of items.

    A vote that failed by error is left out: it tells of the machine, not of the judge.

    Args:
        max_new_tokens: the rationale's budget. A rationale that was closed for the judge is cut if all its tokens reach
        it; the tags written for it count among them, so that one closed a few tokens before its budget is counted as cut.
    """
    found: list[Reasoned] = []
    for item, decision in zip(items, decisions, strict=True):
        group = item.comparison.group or " ".join(item.comparison.prompt_text.casefold().split())
        for vote in decision.judgments:
            if vote.reading is not Reading.REASONED or vote.outcome is Outcome.ERROR:
                continue
            kept = vote.order is Order.AB
            label = vote.outcome.label
            closed = vote.finish_reason is FinishReason.CLOSED and vote.completion_tokens < max_new_tokens
            found.append(
                Reasoned(
                    item.comparison.shown(vote.order),
                    (vote.rationale or "").strip(),
                    label if kept or label is None else label.swap(),
                    item.label if kept else item.label.swap(),
                    vote.finish_reason is FinishReason.STOP or closed,
                    group,
                )
            )
    return found


def measure(votes: Sequence[Reasoned]) -> dict[str, Share]:
    """Shares of reasoned votes, each with its own n.

    ``written`` has a rationale at all · ``ended`` not cut by the budget · ``decided`` a verdict was read · of those
    ``right``, ``states`` (the conclusion or the closing sentence says that verdict, and nothing says another) and
    ``contradicts`` (something does) · ``quotes`` a quotation that occurs in a response · ``copies`` four words in a row
    that do · ``grounded`` either · ``grounded_elsewhere`` the same of another prompt's responses, what chance gives ·
    ``invented`` of quotations, those that occur neither in the prompt nor in a response.
    """
    decided = [(vote, vote.verdict) for vote in votes if vote.verdict is not None]
    quoted = [_quotes(vote, vote.comparison) for vote in votes]
    copied = [copies(vote.rationale, vote.comparison.responses) for vote in votes]
    invented = list(_invented(votes))
    strangers = [(vote, other) for vote, other in zip(votes, _strangers(votes), strict=True) if other is not None]
    every = [vote.group for vote in votes]
    some = [vote.group for vote, _ in decided]
    return {
        "written": share([bool(vote.rationale.removeprefix(OPENING).strip()) for vote in votes], every),
        "ended": share([vote.ended for vote in votes], every),
        "decided": share([vote.verdict is not None for vote in votes], every),
        "right": share([verdict is vote.truth for vote, verdict in decided], some),
        "states": share([states(vote.rationale, verdict) for vote, verdict in decided], some),
        "contradicts": share([contradicts(vote.rationale, verdict) for vote, verdict in decided], some),
        "quotes": share(quoted, every),
        "copies": share(copied, every),
        "grounded": share([quote or copy for quote, copy in zip(quoted, copied, strict=True)], every),
        "grounded_elsewhere": share(
            [_quotes(vote, other) or copies(vote.rationale, other.responses) for vote, other in strangers],
            [vote.group for vote, _ in strangers],
        ),
        "invented": share([flag for _, flag in invented], [group for group, _ in invented]),
    }


def states(rationale: str, verdict: Label) -> bool:
    """Whether a rationale comes to this verdict and states no other."""
    return concluded(rationale) is verdict and not contradicts(rationale, verdict)


def share(hits: Sequence[bool], groups: Sequence[str]) -> Share:
    """The share of hits; what is of one group rises and falls together (see ``accuracy_interval``).

    Of hits alone, or misses, a bootstrap knows no doubt: their interval is Wilson's with as many items as groups.
    """
    if not hits:
        return Share(None, None, None, 0, "none")
    count = len(set(groups))
    bounds = accuracy_interval(hits, groups) if len(set(hits)) > 1 else wilson(count * hits[0], count)
    return Share(fmean(hits), bounds.low, bounds.high, len(hits), bounds.method)


def _quotes(vote: Reasoned, comparison: Comparison) -> bool:
    return any(occurring(quotations(vote.rationale), comparison.responses))


def _invented(votes: Sequence[Reasoned]) -> Iterator[tuple[str, bool]]:
    for vote in votes:
        sources = (vote.comparison.prompt_text, *vote.comparison.responses)
        for there in occurring(quotations(vote.rationale), sources):
            yield vote.group, not there


def _strangers(votes: Sequence[Reasoned]) -> list[Comparison | None]:
    """For each vote the comparison of the next one on another prompt; None where there is no other prompt."""
    ring = [*votes, *votes]
    return [
        next((o.comparison for o in ring[i + 1 : i + len(votes)] if o.group != vote.group), None)
        for i, vote in enumerate(votes)
    ]
