"""RMB: helpfulness and harmlessness in 49 scenarios, as pairs and as best of n.

Source: Zhou et al. 2024, arXiv 2410.09893, table 3; ``RMB_dataset/`` and ``eval/scripts/my_run_rm.py`` of
github.com/Zhou-Zoey/RMB-Reward-Model-Benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import ResponseSet
from gramr2.evaluation.benchmarks.base import Benchmark, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, inner, objects, prompt, text, word
from gramr2.evaluation.benchmarks.failures import OnFailure, credit, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item, Pair, Placing, Verdict, placed
from gramr2.messages import BadRowError


class RMB(Benchmark):
    """A pair is right if chosen is strictly better; a set is right if its best response beats every other one."""

    name = "rmb"
    measures = "helpfulness in 37 scenarios, harmlessness in 12"
    asks = "pairs, and sets of a best and 2 to 6 other responses"
    metric = "accuracy of pairs and of sets for each goal; `overall` is the mean of those four"
    layout = (
        "the folder `RMB_dataset`, rows with `conversation_input`, `category_path`, and `chosen` and `reject`, or `bon_best` and "
        "`loser_list`, each with an `answer`"
    )
    verified = (
        "a fixture by hand; the layout on the repository's files; the mean of four after the paper's table. Not verified: that "
        "items of a goal count alike, whatever their scenario, and that a best response must beat the others in pairs"
    )
    licence = "none stated in the repository"
    home = "https://github.com/Zhou-Zoey/RMB-Reward-Model-Benchmark"
    policies = (OnFailure.WRONG, OnFailure.HALF, OnFailure.DRAWN, OnFailure.LEFT_OUT)
    skips = ("eval/",)
    sections = ("Helpfulness pairwise", "Helpfulness best-of-n", "Harmlessness pairwise", "Harmlessness best-of-n")

    def read(self, row: Row, place: Place) -> list[Item]:
        path = (word(row, "category_path") or place.part).split("/")
        goal = next((name for name in ("Helpfulness", "Harmlessness") if name in path), None)
        if goal is None:
            raise BadRowError(f"neither Helpfulness nor Harmlessness is in {'/'.join(path)}")
        scenario = "/".join(path[path.index(goal) + 1 :])
        turns = prompt(row, "conversation_input")
        if row.get("bon_best") is not None:
            texts = [text(each, "answer") for each in (inner(row, "bon_best"), *objects(row, "loser_list"))]
            found = ResponseSet(f"bon:{word(row, 'bon_uid') or place.default_id}", turns, tuple(texts))
            return [Choice(found, frozenset({0}), f"{goal} best-of-n", facts={"scenario": scenario})]
        chosen, rejected = (text(inner(row, name), "answer") for name in ("chosen", "reject"))
        name = f"pair:{word(row, 'pair_uid') or place.default_id}"
        category = f"{goal} pairwise"
        return [placed(place.seed, name, turns, chosen, rejected, category=category, facts={"scenario": scenario})]

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        return [_credit(item, answer, policy) for item, answer in zip(items, answers, strict=True)]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        values = means(self.credits(items, answers, policy), [self.section(item) for item in items])
        return {**values, "overall": mean(values.values())}


def _credit(item: Item, answer: Answer, policy: OnFailure) -> float | None:
    if isinstance(item, Pair) and isinstance(answer, Verdict) and item.label is not None:
        return mean([credit(said, item.label, policy) for said in answer.orders])
    if not isinstance(item, Choice) or not isinstance(answer, Placing):
        return None
    if answer.tops is None:
        fails = {OnFailure.WRONG: 0.0, OnFailure.LEFT_OUT: None}
        return fails.get(policy, 1 / item.size)
    best = min(item.chosen)
    return float(all(answer.beats(best, other) for other in range(item.size) if other not in item.chosen))


RMB_BENCHMARK = RMB()
