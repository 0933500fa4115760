"""Quality of a ranking against the comparisons it took, scheme by scheme, in the lab, where the right responses are known.

    python benchmarks/ranking_quality.py --judge runs/lab --out docs [--sets 60] [--responses 8] [--seeds 3]

Every scheme ranks the same sets with the same greedy judge. Truth has two ranks, right
and wrong, so the quality is Kendall's (C − D) over the pairs that the truth tells apart (Somers' D), a tie in the scores counting
nothing; beside it, how often the first place is right. Intervals are 95 % bootstrap intervals over sets. Writes
ranking_quality.csv and ranking_quality.svg.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from scipy.stats import somersd

from gramr2.backends.hardware import versions
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.registry import resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Comparison, Message, ResponseSet
from gramr2.evaluation.metrics import bootstrap
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.saved import load_template
from gramr2.judgment import Decision
from gramr2.research.lab.comparisons import Part, problems
from gramr2.research.lab.rationales import PHRASINGS, answer_in
from gramr2.rewards.ranking import Ranking, rank
from gramr2.rewards.tournaments import Budget, Champion, Knockout, RoundRobin, Swiss, Tournament


def main() -> None:
    """Print a table and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", type=int, default=60)
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    n = options.responses
    folder = resolve(options.judge)
    sampling = Sampling(votes=1, temperature=0.0, max_new_tokens=160)
    # Schemes play the same pairs; each is judged once.
    judge = Greedy(JournaledBackend(TransformersBackend(folder), Journal()), load_template(folder), sampling)
    sets, truths = draw(options.sets, n)
    full = n * (n - 1) // 2
    budgets = sorted({round(share * full) for share in (0.3, 0.4, 0.55, 0.75)} | {n})
    schemes: list[tuple[str, Tournament]] = [
        ("knockout", Knockout()),
        ("champion", Champion()),
        ("swiss", Swiss()),
        *((f"budget {each}", Budget(each)) for each in budgets),
        ("round-robin", RoundRobin()),
    ]
    rows: list[dict[str, float | int | str]] = []
    for name, scheme in schemes:
        runs = [rank(judge, sets, scheme, seed=seed) for seed in range(options.seeds)]
        quality = [fmean(_tau(run[i], truths[i]) for run in runs) for i in range(len(sets))]
        # A set without a first place is a miss.
        first = [fmean((best := run[i].best) is not None and truths[i][best] for run in runs) for i in range(len(sets))]
        coverage = fmean(each.coverage for run in runs for each in run)
        played = fmean(len(each.matches) for run in runs for each in run)
        low, high = _interval(quality)
        first_low, first_high = _interval(first)
        rows.append(
            {
                "scheme": name, "comparisons": round(played, 2), "sets": len(sets), "responses": n, "seeds": options.seeds,
                "tau": round(fmean(quality), 4), "low": round(low, 4), "high": round(high, 4),
                "coverage": round(coverage, 4),
                "first_right": round(fmean(first), 4), "first_low": round(first_low, 4), "first_high": round(first_high, 4),
            }
        )  # fmt: skip
        print(rows[-1])
    print(versions())
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "ranking_quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, options.out / "ranking_quality.svg", n)


class Greedy(Judge):
    """Takes no notice of the seed of the lots: without sampling it would give the same judgment again, at full price."""

    def judge(self, comparisons: Sequence[Comparison], *, seed: int = 0, **rest: Any) -> list[Decision]:
        """See ``Judge.judge``."""
        return super().judge(comparisons, seed=0, **rest)


def draw(count: int, n: int) -> tuple[list[ResponseSet], list[list[bool]]]:
    """Sets of ``n`` different responses to problems of the test part, one to three of them right, and which those are."""
    rng = random.Random(5)
    sets: list[ResponseSet] = []
    truths: list[list[bool]] = []
    for family, problem in problems(Part.TEST, rng):
        right = rng.randint(1, min(len(PHRASINGS), n - 1))
        texts = [phrase.format(family.solve(problem)) for phrase in rng.sample(PHRASINGS, right)]
        while len(texts) < n:
            text = rng.choice(PHRASINGS).format(family.slip(rng, problem))
            if text not in texts:
                texts.append(text)
        rng.shuffle(texts)
        sets.append(ResponseSet(f"set-{len(sets)}", (Message("user", family.ask(problem)),), tuple(texts)))
        truths.append([answer_in(text) == family.solve(problem) for text in texts])
        if len(sets) == count:
            return sets, truths
    raise AssertionError("problems are without end")


def _tau(ranking: Ranking, truth: Sequence[bool]) -> float:
    """0 where a response has no score: such a ranking says nothing."""
    scores = {place.index: place.score for place in ranking.places if place.score is not None}
    if len(scores) < len(truth):
        return 0.0
    return float(somersd([int(each) for each in truth], [scores[i] for i in range(len(truth))]).statistic)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    return bootstrap([(value, 1) for value in values])


def plot(rows: Sequence[dict[str, float | int | str]], file: Path, n: int) -> None:
    """Quality by comparisons, a point a scheme."""
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "gramr2", "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for row in rows:
            x, y, low, high = (float(row[key]) for key in ("comparisons", "tau", "low", "high"))
            budget = str(row["scheme"]).startswith("budget")
            color = "#0072b2" if budget else "#d55e00"
            axes.errorbar(x, y, [[y - low], [high - y]], fmt="o", capsize=3, color=color)
            # Those that cost the same stand at one x: the upper name goes up and the lower one down.
            same = [float(each["tau"]) for each in rows if abs(float(each["comparisons"]) - x) < 1.5]
            away = 6 if y == max(same) else -12
            axes.annotate(str(row["scheme"]), (x, y), xytext=(7, away), textcoords="offset points", fontsize=9)
        axes.set_xlabel(f"comparisons for {n} responses, both orders each")
        axes.set_ylabel("Kendall's τ where the truth differs")
        axes.set_ylim(top=1.02)
        axes.set_xlim(right=axes.get_xlim()[1] + 2)  # room for the last name
        figure.savefig(file, facecolor="white", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
