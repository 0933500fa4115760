"""Arena-Hard: how often a policy's answer is preferred to the baseline's, judged in both orders.

Source: Li et al. 2024, arXiv 2406.11939; ``show_result.py`` and ``utils/judge_utils.py`` of github.com/lmarena/arena-hard-auto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gramr2.data.textfiles import RawRow
from gramr2.errors import DataError
from gramr2.evaluation.benchmarks.base import Values
from gramr2.evaluation.benchmarks.columns import Place, Row, inner, objects, prompt, text
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict
from gramr2.evaluation.benchmarks.win_rates import WinRates, against, length_controlled, win

BASELINES = {"arena-hard-v0.1": "gpt-4-0314", "creative_writing": "gemini-2.0-flash-001"}
"""by category; o3-mini in every other"""
_BASELINE = "o3-mini-2025-01-31"


class ArenaHard(WinRates):
    """Every policy whose answers are there is compared with the baseline of the question's category. A pair of which one verdict
    failed is left out, as there."""

    name = "arena-hard"
    measures = "policies, by the judge: their win rates against a baseline on hard prompts"
    asks = "500 prompts (v0.1) or 750 (v2.0) for each policy"
    metric = "mean of both orders' results (1, 0.5, 0), by policy, also length-controlled; `overall` is the mean over policies"
    layout = "a folder with `question.jsonl` and `model_answer/MODEL.jsonl`"
    verified = (
        "a fixture by hand, after `show_result.py`. Verdicts have no strength here (A>>B counts as A>B, there three times), and "
        "style control is ours (see alpaca-eval)"
    )
    licence = "Apache-2.0"
    home = "https://github.com/lmarena/arena-hard-auto"
    policy = OnFailure.LEFT_OUT
    policies = (OnFailure.HALF, OnFailure.LEFT_OUT)
    skips = ("model_judgment/",)

    def joined(self, rows: Iterable[tuple[str, RawRow]]) -> Iterator[tuple[str, RawRow]]:
        questions: dict[str, tuple[str, str, Row]] = {}
        answers: dict[tuple[str, str], object] = {}
        for part, (where, default_id, row) in rows:
            if isinstance(row, DataError):
                raise row
            if isinstance(row, dict) and self.is_own(row):
                yield part, (where, default_id, row)  # to be refused with its place
            elif isinstance(row, dict) and "messages" in row:
                answers[str(row.get("model")), str(row.get("uid"))] = row
            elif isinstance(row, dict):
                questions[str(row.get("uid"))] = where, default_id, row
        for name, uid in answers:
            if uid not in questions:
                raise DataError(f"{name}: its answer to {uid} has no question in question.jsonl")
            where, default_id, question = questions[uid]
            baseline = BASELINES.get(str(question.get("category")), _BASELINE)
            if name != baseline:
                both = {"answer": answers[name, uid], "baseline": answers.get((baseline, uid)), "model": name}
                yield name, (f"{where}, {name}", default_id, {**question, **both})

    def read(self, row: Row, place: Place) -> list[Item]:
        policy = text(row, "model")
        texts = [
            text(inner(objects(inner(row, side), "messages")[-1], "content"), "answer")
            for side in ("answer", "baseline")
        ]
        return [against(place.seed, f"{policy}:{text(row, 'uid')}", prompt(row), texts[0], texts[1], policy)]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        found: dict[str, list[tuple[float, int]]] = {}
        for item, answer in zip(items, answers, strict=True):
            if isinstance(item, Pair) and isinstance(answer, Verdict):
                mine = found.setdefault(self.section(item), [])
                won = win(item, answer, policy, probabilities=False)
                if won is not None and (None not in answer.orders or policy is OnFailure.HALF):
                    mine.append((won, item.facts["longer"]))
        rates = {name: mean(won for won, _ in each) for name, each in found.items()}
        controlled = {
            f"{name} length-controlled": length_controlled([won for won, _ in each], [gap for _, gap in each])
            for name, each in found.items()
        }
        return {**rates, **controlled, "overall": mean(rates.values())}


ARENA_HARD = ArenaHard()
