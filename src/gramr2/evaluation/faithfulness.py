"""Does a judge use its rationale? Its verdict is asked again after the rationale was removed, exchanged, cut, or contradicted.

If the reasoning carries the verdict, these change it; a judge whose verdict never moves has made up its mind without it
(the open question of GRAM-R²; the probes follow Lanham et al. 2023, *Measuring faithfulness in chain-of-thought reasoning*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gramr2.backends.base import Backend
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.evaluation.metrics import wilson
from gramr2.judging.reading import verdicts_given, without_conclusion
from gramr2.judging.template import CONCLUSIONS, JudgeTemplate
from gramr2.judging.voting import top_label
from gramr2.judgment import Decision


@dataclass(frozen=True, slots=True)
class Probe:
    """How often one intervention changed the verdict: share, 95 % Wilson interval, and of how many."""

    changed: float
    low: float
    high: float
    n: int


def probe(backend: Backend, template: JudgeTemplate, items: Sequence[tuple[Comparison, Decision]]) -> dict[str, Probe]:
    """Probe a judge on comparisons that it has judged; those without a rationale are left out.

    The verdict on the untouched rationale is asked in the same way, so that a change is due to the intervention alone.
    ``exchanged`` takes the rationale of another comparison, ``cut`` keeps its first half, and ``contradicted`` states the
    opposite conclusion (of a tie: A).
    """
    lessons: list[LabeledComparison] = []
    for comparison, decision in items:
        best = decision.best
        if best is not None and best.rationale:
            label = best.outcome.label or Label.TIE
            shown = label if best.order is Order.AB else label.swap()
            lessons.append(LabeledComparison(comparison.shown(best.order), shown, best.rationale))
    if len(lessons) < 2:
        return {}
    texts = [lesson.rationale or "" for lesson in lessons]
    changes = {
        "removed": [""] * len(texts),
        "exchanged": [*texts[1:], texts[0]],
        "cut": [_half(text) for text in texts],
        "contradicted": [_contradicted(text, lesson.label) for text, lesson in zip(texts, lessons, strict=True)],
    }
    comparisons = [lesson.comparison for lesson in lessons]

    def verdicts(rationales: Sequence[str]) -> list[Label | None]:
        read = verdicts_given(backend, template, list(zip(comparisons, rationales, strict=True)))
        return [None if belief is None else top_label(belief) for belief in read]

    before = verdicts(texts)
    result: dict[str, Probe] = {}
    for name, rationales in changes.items():
        pairs = [(was, now) for was, now in zip(before, verdicts(rationales), strict=True) if was and now]
        if pairs:
            moved = sum(was is not now for was, now in pairs)
            interval = wilson(moved, len(pairs))
            result[name] = Probe(moved / len(pairs), interval.low, interval.high, len(pairs))
    return result


def _half(text: str) -> str:
    words = without_conclusion(text).split(" ")
    return " ".join(words[: max(1, len(words) // 2)])


def _contradicted(text: str, label: Label) -> str:
    opposite = Label.A if label is Label.TIE else label.swap()
    return f"{without_conclusion(text)}\n{CONCLUSIONS[opposite]}"
