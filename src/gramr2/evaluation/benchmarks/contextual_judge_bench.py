"""ContextualJudgeBench: answers and summaries from a given context, in an order of criteria.

Source: Xu et al. 2025, arXiv 2503.15620; ``main_eval.py`` and ``compute_acc`` in ``utils/utils.py`` of
github.com/SalesforceAIResearch/ContextualJudgeBench.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Message
from gramr2.errors import ConfigError
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, text
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict, placed

SPLITS = (
    "refusal_answerable",
    "refusal_unanswerable",
    "faithfulness_qa",
    "faithfulness_summ",
    "completeness_qa",
    "completeness_summ",
    "conciseness_qa",
    "conciseness_summ",
)


class ContextualJudgeBench(Benchmark):
    """An item is right only if both orders are right (consistent accuracy); ``consistency`` is how often they agree."""

    name = "contextual-judge-bench"
    measures = "refusal, faithfulness, completeness and conciseness, given a context"
    asks = "2000 pairs in eight splits"
    metric = "consistent accuracy: right in both orders; `overall` over all items"
    layout = "`question`, `context`, `positive_response`, `negative_response`; the split is the part or the file"
    verified = "a fixture by hand, after `compute_acc`; how context and question are put in one prompt is ours"
    licence = "see its data card"
    home = "https://huggingface.co/datasets/Salesforce/ContextualJudgeBench"
    hub = tuple(Hub("Salesforce/ContextualJudgeBench", split) for split in SPLITS)
    sections = SPLITS

    def read(self, row: Row, place: Place) -> list[Item]:
        split = next((name for name in SPLITS if name in place.part), place.part)
        question, context = text(row, "question"), text(row, "context")
        asked = f"{question}\n\nContext:\n{context}" if question.strip() else context
        good, bad = text(row, "positive_response"), text(row, "negative_response")
        name = f"{split}:{place.default_id}"
        return [placed(place.seed, name, (Message("user", asked),), good, bad, category=split)]

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        """1 if both orders are right, else 0.

        Raises:
            ConfigError: only one order was asked.
        """
        if any(isinstance(answer, Verdict) and len(answer.orders) < 2 for answer in answers):
            raise ConfigError(
                f"{self.name} is scored over both orders, and only one was asked: leave out --orders first"
            )
        return [
            _credit([None if said is None else said is item.label for said in answer.orders], policy)
            if isinstance(item, Pair) and isinstance(answer, Verdict)
            else None
            for item, answer in zip(items, answers, strict=True)
        ]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        credits = self.credits(items, answers, policy)
        values = means(credits, [self.section(item) for item in items])
        orders = [answer.orders for answer in answers if isinstance(answer, Verdict)]
        same = [float(a is b) for a, b in orders if a is not None and b is not None]
        return {**values, "consistency": mean(same), "overall": mean(credits)}


def _credit(right: Sequence[bool | None], policy: OnFailure) -> float | None:
    failed = right.count(None)
    if not failed:
        return float(all(right))
    if policy in (OnFailure.WRONG, OnFailure.LEFT_OUT):
        return 0.0 if policy is OnFailure.WRONG else None
    if policy is OnFailure.HALF:
        return 0.5
    return 0.0 if False in right else 0.5**failed


CONTEXTUAL_JUDGE_BENCH = ContextualJudgeBench()
