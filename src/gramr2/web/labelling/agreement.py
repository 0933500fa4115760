"""How far a person's labels agree with a judge's: on the random part, which speaks for the whole file, and on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gramr2.comparison import Comparison, Label, Order
from gramr2.data.annotators import cohen
from gramr2.evaluation.metrics import rated
from gramr2.web.labelling.opinions import Opinion
from gramr2.web.labelling.order import Item, Pick


@dataclass(frozen=True, slots=True)
class Share:
    """How often two labels are the same, over the ``decided`` of ``n`` labelled comparisons, those on which the other one has a
    label; with its 95 % interval where the comparisons are a random sample. ``kappa`` is Cohen's, over both orders of each."""

    n: int
    decided: int
    same: int
    share: float | None
    low: float | None
    high: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A comparison on which person and judge differ, in the order of the data, with the reasons that both gave.

    ``reason_order`` is that of the responses as the person's reason calls them: ``ba`` where its A is the second one.
    """

    id: str
    prompt: str
    responses: tuple[str, str]
    label: Label
    other: Label
    reason: str | None
    reason_order: Order
    rationale: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement with ``other``: on the random part, on everything, and where the two differ."""

    other: str
    random: Share
    all: Share
    disagreements: tuple[Disagreement, ...]


def agreement(
    other: str,
    labels: Sequence[tuple[Item, Label]],
    opinions: Mapping[str, Opinion] | Mapping[str, Label],
    reasons: Mapping[str, tuple[str | None, Order]],
) -> Agreement:
    """Compare a person's labels with other ones.

    Args:
        other: whose they are.
        labels: what the person said.
        opinions: the other labels by id; a comparison without one, or with one that decided nothing, is not decided.
        reasons: the person's, by id, with the order of the responses that they speak of.
    """
    found: list[tuple[Item, Label, Label | None, str | None]] = []
    for item, label in labels:
        opinion = opinions.get(item.comparison.id)
        told = opinion.rationale if isinstance(opinion, Opinion) else None
        found.append((item, label, opinion.label if isinstance(opinion, Opinion) else opinion, told))
    return Agreement(
        other,
        _share([(i.comparison, label, theirs) for i, label, theirs, _ in found if i.pick is Pick.RANDOM], sampled=True),
        _share([(i.comparison, label, theirs) for i, label, theirs, _ in found], sampled=False),
        tuple(
            Disagreement(
                item.comparison.id,
                item.comparison.prompt_text,
                item.comparison.responses,
                label,
                theirs,
                *reasons.get(item.comparison.id, (None, Order.AB)),
                told,
            )
            for item, label, theirs, told in found
            if theirs is not None and theirs is not label
        ),
    )


def _share(pairs: Sequence[tuple[Comparison, Label, Label | None]], *, sampled: bool) -> Share:
    decided = [(each, label, theirs) for each, label, theirs in pairs if theirs is not None]
    same = [label is theirs for _, label, theirs in decided]
    share, low, high = rated(same, [each.unit for each, _, _ in decided])
    kappa = cohen([(said, theirs) for _, said, theirs in decided])
    bounds = (low, high) if sampled else (None, None)
    return Share(len(pairs), len(decided), sum(same), share, *bounds, kappa)
