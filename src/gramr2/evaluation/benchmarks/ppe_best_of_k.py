"""PPE's best of 32: how good the first of 32 ranked responses is.

Source: Frick et al. 2024, arXiv 2410.14872; the layout of lmarena-ai/PPE-MMLU-Pro-Best-of-K as public code reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import ResponseSet
from gramr2.evaluation.benchmarks.base import Benchmark, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, best, numbers, prompt
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item
from gramr2.evaluation.benchmarks.picked import picked, worth
from gramr2.evaluation.benchmarks.ppe_correctness import DOMAINS, HUB, domain_of, responses, set_name


class PPEBestOfK(Benchmark):
    """The score of the response in first place: of one that is right it is 1."""

    name = "ppe-best-of-k"
    measures = "picking a right answer out of 32 by the same model"
    asks = "about 2500 sets of 32 responses; all pairs of a set are 496 comparisons, so take a scheme with fewer"
    metric = (
        "mean score of the pick, by domain; `overall` is the mean of the five domains; `random` and `oracle` beside it"
    )
    layout = "`question_id`, `model_name`, `prompt`, `response_1` … `response_32`, `scores`"
    verified = "a fixture by hand; columns as several public scripts read them. The paper's curves over K are not in"
    licence = "see each data card"
    home = "https://huggingface.co/datasets/lmarena-ai/PPE-MMLU-Pro-Best-of-K"
    hub = HUB
    sections = tuple(DOMAINS)

    def read(self, row: Row, place: Place) -> list[Item]:
        answers, scores = responses(row), numbers(row, "scores")
        found = ResponseSet(set_name(row, place), prompt(row), tuple(answers))
        return [Choice(found, best(scores), domain_of(place), facts={"scores": tuple(scores)})]

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        return worth(items, answers, policy)

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        sections = [self.section(item) for item in items]
        got, random, oracle = picked(items, answers, policy)
        values = means(got, sections)
        bounds = {"random": mean(means(random, sections).values()), "oracle": mean(means(oracle, sections).values())}
        return {**values, **bounds, "overall": mean(values.values())}


PPE_BEST_OF_K = PPEBestOfK()
