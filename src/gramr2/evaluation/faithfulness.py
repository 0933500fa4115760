"""Does a judge use its rationale? It is asked for its verdict again after the rationale was changed in one of several ways.

If the verdict depends on the reasoning, it changes too; a judge whose verdict never changes decides without the reasoning
(the open question of GRAM-R²).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.backends.base import Backend
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.evaluation.metrics import wilson
from gramr2.evaluation.probes import UNTOUCHED, interventions
from gramr2.judging.reading import verdicts_given
from gramr2.judging.template import JudgeTemplate
from gramr2.judging.voting import top_label
from gramr2.judgment import Decision


@dataclass(frozen=True, slots=True)
class Probe:
    """What one intervention did to ``n`` verdicts: the share that changed, and the share that is right afterwards.

    ``low`` and ``high`` are the 95 % Wilson interval of ``changed``; ``accuracy`` has its own, and is None without truths.
    ``followed`` is the share of verdicts that agree with the conclusion of the changed rationale, where that is another label
    than before (exchanged, contradicted): 1 for a judge that reads its verdict off its rationale.
    """

    changed: float
    low: float
    high: float
    n: int
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    followed: float | None = None
    followed_low: float | None = None
    followed_high: float | None = None


def probe(
    backend: Backend,
    template: JudgeTemplate,
    items: Sequence[tuple[Comparison, Decision]],
    truths: Sequence[Label] | None = None,
) -> dict[str, Probe]:
    """Probe a judge on comparisons that it has judged; those without a rationale are left out.

    The verdict on the untouched rationale is read in the same way, so that a change is due to the intervention alone. The
    interventions are in ``gramr2.evaluation.probes``.

    Args:
        truths: the true labels of the items, as stored; with them every probe has an accuracy.
    """
    examples: list[LabeledComparison] = []
    targets: list[Label | None] = []
    for index, (comparison, decision) in enumerate(items):
        best = decision.best
        if best is not None and best.rationale:
            label = best.outcome.label or Label.TIE
            shown = label if best.order is Order.AB else label.swap()
            examples.append(LabeledComparison(comparison.shown(best.order), shown, best.rationale))
            truth = truths[index] if truths else None
            targets.append(truth if truth is None or best.order is Order.AB else truth.swap())
    if len(examples) < 2:
        return {}
    known, count = interventions(), range(len(examples))
    texts = {name: [each.change(examples, i) for i in count] for name, each in known.items()}
    texts = {UNTOUCHED: [example.rationale for example in examples]} | texts
    asked = [(name, i, text) for name, each in texts.items() for i, text in enumerate(each) if text is not None]
    read = verdicts_given(backend, template, [(examples[i].comparison, text) for _, i, text in asked])
    verdicts = {
        (name, i): top_label(belief) for (name, i, _), belief in zip(asked, read, strict=True) if belief is not None
    }
    result: dict[str, Probe] = {}
    for name in texts:
        both = [i for i in range(len(examples)) if (name, i) in verdicts and (UNTOUCHED, i) in verdicts]
        if both:
            moved = [verdicts[name, i] is not verdicts[UNTOUCHED, i] for i in both]
            right = [verdicts[name, i] is targets[i] for i in both if targets[i] is not None]
            probed = known.get(name)
            stated = {i: probed.concludes(examples, i) for i in both} if probed else {}
            concluded = {i: label for i, label in stated.items() if label is not None}
            followed = [verdicts[name, i] is told for i, told in concluded.items()]
            result[name] = _summary(moved, right, followed)
    return result


def _summary(moved: Sequence[bool], right: Sequence[bool], followed: Sequence[bool]) -> Probe:
    changed = wilson(sum(moved), len(moved))
    return Probe(sum(moved) / len(moved), changed.low, changed.high, len(moved), *_share(right), *_share(followed))


def _share(hits: Sequence[bool]) -> tuple[float | None, float | None, float | None]:
    """The share of hits with its 95 % Wilson interval; None without any item."""
    if not hits:
        return None, None, None
    bounds = wilson(sum(hits), len(hits))
    return sum(hits) / len(hits), bounds.low, bounds.high
