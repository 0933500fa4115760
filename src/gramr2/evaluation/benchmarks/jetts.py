"""JETTS: reranking up to ten responses that a generator has sampled.

Source: Zhou et al. 2025, arXiv 2504.15253; ``jetts/data``, ``jetts/judge`` and ``scripts/reranking.py`` of
github.com/SalesforceAIResearch/jetts-benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Message, ResponseSet
from gramr2.evaluation.benchmarks.base import Benchmark, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, best, inner, numbers, objects, text
from gramr2.evaluation.benchmarks.failures import OnFailure, mean, means
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item
from gramr2.evaluation.benchmarks.picked import picked, worth
from gramr2.messages import BadRowError


class Jetts(Benchmark):
    """The score of the response that is ranked first. A shared first place is drawn at random there, and worth its mean here."""

    name = "jetts"
    measures = "best-of-n for math, code and instructions, over several generators"
    asks = "sets of up to 10 responses, in a file for each task and generator"
    metric = "mean score of the pick, by file; `overall` is the mean over files; `random` and `oracle` beside it"
    layout = "the files of `reranking_and_refinement`: `query` with `content`, `responses` with `content` and `metadata.score`"
    verified = "a fixture by hand; the layout as the repository's code reads it. Beam search and refinement are not in"
    licence = "see the repository"
    home = "https://github.com/SalesforceAIResearch/jetts-benchmark"
    policy = OnFailure.DRAWN

    def is_own(self, row: Row) -> bool:
        return "query" not in row and super().is_own(row)

    def read(self, row: Row, place: Place) -> list[Item]:
        answers = objects(row, "responses")
        if not answers:
            raise BadRowError("responses is empty")
        texts = [text(each, "content") for each in answers]
        scores = numbers({"score": [inner(each, "metadata").get("score") for each in answers]}, "score")
        if len(texts) == 1:
            # Nothing to rank, but it counts: with a copy of itself it is a set that needs no comparison.
            texts, scores = texts * 2, scores * 2
        prompt = (Message("user", text(inner(row, "query"), "content")),)
        found = ResponseSet(f"{place.part}:{place.default_id}", prompt, tuple(texts))
        return [Choice(found, best(scores), place.part, facts={"scores": tuple(scores)})]

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        return worth(items, answers, policy)

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        files = [self.section(item) for item in items]
        got, random, oracle = picked(items, answers, policy)
        values = means(got, files)
        bounds = {"random": mean(means(random, files).values()), "oracle": mean(means(oracle, files).values())}
        return {**values, **bounds, "overall": mean(values.values())}


JETTS = Jetts()
