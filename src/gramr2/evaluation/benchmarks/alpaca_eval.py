"""AlpacaEval 2: how often a policy's output is preferred to the baseline's, also with length taken out.

Source: Dubois et al. 2024, arXiv 2404.04475; ``src/alpaca_eval/metrics/`` of github.com/tatsu-lab/alpaca_eval.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.evaluation.benchmarks.base import Values
from gramr2.evaluation.benchmarks.columns import Place, Row, prompt, text, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Answer, Item, Pair, Verdict
from gramr2.evaluation.benchmarks.win_rates import WinRates, against, length_controlled, win


class AlpacaEval(WinRates):
    """``output_2`` is the policy's and ``output_1`` the baseline's, as in the annotations of AlpacaEval."""

    name = "alpaca-eval"
    measures = "a policy, by the judge: its win rate against a baseline"
    asks = "805 instructions, with outputs of one policy"
    metric = "length-controlled win rate (`overall`); `win rate` by the judge's probabilities, `discrete win rate` by verdicts"
    layout = "`annotations.json`: `instruction`, `output_1`, `output_2`, `generator_2`"
    verified = (
        "the win rates of two policies on the leaderboard, from their published annotations. The length control is simplified: "
        "38.2 for Ein-70B, where the leaderboard has 35.0; 39.4 for outputs of 68 characters, where it has 12.2: of no use where "
        "all outputs are shorter, or all longer"
    )
    licence = "see its data card"
    home = "https://github.com/tatsu-lab/alpaca_eval"
    policy = OnFailure.LEFT_OUT
    policies = (OnFailure.HALF, OnFailure.LEFT_OUT)

    def read(self, row: Row, place: Place) -> list[Item]:
        policy = word(row, "generator_2") or place.part
        name = f"{policy}:{place.default_id}"
        outputs = (text(row, "output_2"), text(row, "output_1"))
        return [against(place.seed, name, prompt(row, "instruction"), *outputs, policy)]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        asked = [
            (item, each)
            for item, each in zip(items, answers, strict=True)
            if isinstance(item, Pair) and isinstance(each, Verdict)
        ]
        wins = [win(*each, policy, probabilities=True) for each in asked]
        counted = [(won, item.facts["longer"]) for (item, _), won in zip(asked, wins, strict=True) if won is not None]
        return {
            "win rate": mean(wins),
            "discrete win rate": mean(win(*each, policy, probabilities=False) for each in asked),
            "overall": length_controlled([won for won, _ in counted], [longer for _, longer in counted]),
        }


ALPACA_EVAL = AlpacaEval()
