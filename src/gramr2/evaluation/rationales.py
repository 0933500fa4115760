"""What can be measured of a judge's rationales on people's text, where no program knows which reasons are right.

Does a rationale come to an end, does it state the verdict that was read after it, does it refer to what is there?
``gramr2.evaluation.readers`` asks whether it leads to its label without stating it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.evaluation.metrics import share_interval
from gramr2.evaluation.stated import concluded, contradicts
from gramr2.judging.quotations import copies, occurring, quotations
from gramr2.judging.template import OPENING, shown_texts
from gramr2.judgment import Decision, FinishReason, Outcome, Reading


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A reasoned vote with its comparison in the order that was shown; ``verdict`` and ``truth`` refer to that order too.

    ``verdict`` is None if none was read. ``ended`` is whether the judge itself closed its rationale or its turn within the
    budget. ``group`` is shared by votes on one prompt.
    """

    comparison: Comparison
    rationale: str
    verdict: Label | None
    truth: Label
    ended: bool
    group: str


@dataclass(frozen=True, slots=True)
class Share:
    """A share of ``n``, None if ``n`` is 0, with a 95 % interval: over prompts if some have several votes, else Wilson's."""

    share: float | None
    low: float | None
    high: float | None
    n: int
    interval: str


def reasoned_votes(
    items: Sequence[LabeledComparison], decisions: Sequence[Decision], max_new_tokens: int
) -> list[Reasoned]:
    """The reasoned votes of decisions, each in the order in which it was cast; items and decisions are in the same order.

    A vote that failed with an error is left out: it says something about the machine, not about the judge.

    Args:
        max_new_tokens: the rationale's budget. A rationale that was closed for the judge counts as cut if its tokens reach
            the budget; they include the tags written for it, so that one closed a few tokens earlier counts as cut too.
    """
    found: list[Reasoned] = []
    for item, decision in zip(items, decisions, strict=True):
        group = item.comparison.unit
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
    that do · ``grounded`` either · ``grounded_elsewhere`` the same for another prompt's responses, as chance gives it ·
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
    """Whether a rationale concludes with this verdict and states no other."""
    return concluded(rationale) is verdict and not contradicts(rationale, verdict)


def share(hits: Sequence[bool], groups: Sequence[str]) -> Share:
    """The share of hits; items of one group are not independent (see ``share_interval``)."""
    if not hits:
        return Share(None, None, None, 0, "none")
    bounds = share_interval(hits, groups)
    return Share(fmean(hits), bounds.low, bounds.high, len(hits), bounds.method)


def _quotes(vote: Reasoned, comparison: Comparison) -> bool:
    return any(occurring(quotations(vote.rationale), comparison.responses))


def _invented(votes: Sequence[Reasoned]) -> Iterator[tuple[str, bool]]:
    for vote in votes:
        for there in occurring(quotations(vote.rationale), shown_texts(vote.comparison)):
            yield vote.group, not there


def _strangers(votes: Sequence[Reasoned]) -> list[Comparison | None]:
    """For each vote the comparison of the next vote on another prompt; None if there is no other prompt."""
    ring = [*votes, *votes]
    return [
        next((o.comparison for o in ring[i + 1 : i + len(votes)] if o.group != vote.group), None)
        for i, vote in enumerate(votes)
    ]
