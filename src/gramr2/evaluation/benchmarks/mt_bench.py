"""MT-bench's human judgements: experts' votes on pairs of answers to 80 two-turn questions.

Source: Zheng et al. 2023, arXiv 2306.05685, section 4.2; ``compute_agreement.py`` of FastChat's ``llm_judge``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gramr2.comparison import Comparison, Label
from gramr2.data.turns import implicit_prompt
from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values
from gramr2.evaluation.benchmarks.columns import Place, Row, column, objects, text, winner, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict

_TURNS = (1, 2)


class MTBenchHuman(Benchmark):
    """A row is one vote; votes on the same pair are one item, whose label is the most frequent one, and a tie if two are.

    The judge's vote is its verdict where both orders agree, and a tie where they do not.
    """

    name = "mt-bench-human"
    measures = "agreement with experts on two-turn conversations"
    asks = "about 3400 votes on pairs"
    metric = "share of experts' votes that the judge's vote equals, by turn, with ties and without (`overall`: without)"
    layout = "split `human`: `question_id`, `model_a`, `model_b`, `winner`, `judge`, `conversation_a`, `conversation_b`, `turn`"
    verified = "a fixture by hand, after `compute_agreement.py`: votes of authors do not count there, and do not here"
    licence = "CC-BY-4.0"
    home = "https://huggingface.co/datasets/lmsys/mt_bench_human_judgments"
    hub = (Hub("lmsys/mt_bench_human_judgments", "human"),)
    policies = (OnFailure.WRONG, OnFailure.LEFT_OUT)
    sections = tuple(f"turn {turn}" for turn in _TURNS)

    def read(self, row: Row, place: Place) -> list[Item]:
        turn, names = int(column(row, "turn")), ("conversation_a", "conversation_b")
        talks = [_first_turns(objects(row, name), turn) for name in names]
        prompt, a, b = implicit_prompt(talks[0], talks[1], names)
        models, said = (text(row, "model_a"), text(row, "model_b")), winner(row)
        if models[0] > models[1]:
            models, said, a, b = (models[1], models[0]), said.swap(), b, a
        question = word(row, "question_id") or ""
        pair = Comparison(
            f"{question}:{models[0]}:{models[1]}:{turn}", prompt, (a, b), category=f"turn {turn}", group=question
        )
        expert = text(row, "judge").startswith("expert")
        return [Pair(pair, said, {"votes": (said,) if expert else (), "key": pair.id})]

    def gather(self, items: Sequence[Item]) -> Sequence[Item]:
        found: dict[Any, Pair] = {}
        for item in _pairs(items):
            key = item.facts.get("key", item.id)
            before = found.get(key)
            votes = (*(before.facts["votes"] if before else ()), *item.facts.get("votes", (item.label,)))
            first = before or replace(item, comparison=replace(item.comparison, id=key))
            found[key] = replace(first, label=_most_frequent(votes), facts={"votes": votes})
        return [item for item in found.values() if item.facts["votes"]]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        asked = [(item, each) for item, each in zip(items, answers, strict=True) if isinstance(item, Pair)]
        values: Values = {}
        for section in self.sections:
            of_turn = [each for each in asked if each[0].category == section]
            values[f"{section} with ties"] = mean(_agreements(of_turn, policy, ties=True))
            values[f"{section} without ties"] = mean(_agreements(of_turn, policy, ties=False))
        return {**values, "overall": mean(_agreements(asked, policy, ties=False))}


def _pairs(items: Sequence[Item]) -> Iterator[Pair]:
    return (item for item in items if isinstance(item, Pair))


def _first_turns(messages: Sequence[Row], turn: int) -> list[dict[str, object]]:
    """A conversation up to the answer in ``turn``."""
    return [{"role": each.get("role"), "content": each.get("content")} for each in messages[: 2 * turn]]


def _most_frequent(votes: Sequence[Label]) -> Label | None:
    counts = {label: votes.count(label) for label in Label}
    top = [label for label, count in counts.items() if count == max(counts.values())]
    return None if not votes else top[0] if len(top) == 1 else Label.TIE


def _agreements(asked: Sequence[tuple[Pair, Answer]], policy: OnFailure, *, ties: bool) -> Iterator[float]:
    for item, answer in asked:
        if not isinstance(answer, Verdict):
            continue
        failed = None in answer.orders
        vote = answer.orders[0] if len(set(answer.orders)) == 1 else Label.TIE
        if (failed and policy is OnFailure.LEFT_OUT) or (not failed and vote is Label.TIE and not ties):
            continue
        for said in item.facts["votes"]:
            if ties or said is not Label.TIE:
                yield float(not failed and vote is said)


MT_BENCH_HUMAN = MTBenchHuman()
