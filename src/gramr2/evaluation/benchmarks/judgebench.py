"""JudgeBench: objectively right or wrong answers to hard questions, judged in both orders.

Source: Tan et al. 2024, arXiv 2410.12784; ``utils/metrics.py`` and ``run_judge.py`` of github.com/ScalerLab/JudgeBench.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, column, prompt, text, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict
from gramr2.messages import BadRowError, shown

SECTIONS = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}
"""what the name of a source begins with, and the section it is reported in"""
_LABELS = {"A>B": Label.A, "B>A": Label.B}


class JudgeBench(Benchmark):
    """Each order that is right counts +1 and each that is wrong −1; an item is right if the sum is above 0."""

    name = "judgebench"
    measures = "telling a right answer from a wrong one: knowledge, reasoning, math, coding"
    asks = "620 pairs (350 of GPT-4o, 270 of Claude 3.5 Sonnet)"
    metric = "+1 and −1 for the two orders, right if the sum is positive; micro (`overall`), and the mean of sections (`macro`)"
    layout = "`pair_id`, `source`, `question`, `response_A`, `response_B`, `label` (`A>B`), `response_model`"
    verified = (
        "published decisions of seven judges in the repository, among them Skywork-Reward-Llama-3.1-8B, against the official "
        "script's figures; the layout on the repository's files"
    )
    licence = "MIT on its data card, none in the repository"
    home = "https://huggingface.co/datasets/ScalerLab/JudgeBench"
    hub = (Hub("ScalerLab/JudgeBench", "gpt"), Hub("ScalerLab/JudgeBench", "claude"))
    policy = OnFailure.NO_VOTE
    policies = tuple(OnFailure)
    sections = tuple(SECTIONS.values())
    skips = ("outputs/",)

    def read(self, row: Row, place: Place) -> list[Item]:
        source, said = text(row, "source"), column(row, "label")
        if said not in _LABELS:
            raise BadRowError(f"label must be A>B or B>A, not {shown(said)}")
        section = next((name for start, name in SECTIONS.items() if source.startswith(start)), source)
        answers = (text(row, "response_A"), text(row, "response_B"))
        name = word(row, "pair_id") or place.default_id
        pair = Comparison(name, prompt(row, "question"), answers, category=section, group=word(row, "original_id"))
        return [
            Pair(pair, _LABELS[said], {"subset": source, "response_model": word(row, "response_model") or place.part})
        ]

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        """1 if the sum of both orders is above 0, else 0, so that one right and one wrong order count nothing."""
        return [
            _credit(item.label, answer.orders, policy)
            if isinstance(item, Pair) and isinstance(answer, Verdict) and item.label is not None
            else None
            for item, answer in zip(items, answers, strict=True)
        ]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        credits = self.credits(items, answers, policy)
        values = means(credits, [self.section(item) for item in items])
        macro = mean([values[name] for name in self.sections if name in values])
        models = means(credits, [str(item.facts.get("response_model", "unknown")) for item in items])
        return {**values, **models, "macro": macro, "overall": mean(credits)}


def _credit(truth: Label, orders: Sequence[Label | None], policy: OnFailure) -> float | None:
    points: dict[Label | None, int] = {truth: 1, truth.swap(): -1}
    failed = orders.count(None)
    if failed and policy in (OnFailure.HALF, OnFailure.LEFT_OUT):
        return 0.5 if policy is OnFailure.HALF else None
    known = sum(points.get(said, 0) for said in orders)
    worth = {OnFailure.WRONG: (-1,), OnFailure.DRAWN: (1, -1)}.get(policy, (0,))
    outcomes = [known + sum(drawn) for drawn in product(worth, repeat=failed)]
    return sum(total > 0 for total in outcomes) / len(outcomes)


JUDGEBENCH = JudgeBench()
