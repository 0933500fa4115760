"""Whether as many labels as are said to be needed settle a question with 80 % power, by simulation.

    python benchmarks/labels_needed.py [--draws 10000] [--grouped 1000] [--seed 0]

Judges of a known accuracy are asked so many comparisons, and counted is how often the 95 % interval excludes the bar: Wilson's of
independent comparisons, and the bootstrap over prompts of four comparisons that are alike (all four right or wrong together with
probability ρ). Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import random

from gramr2.evaluation.metrics import accuracy_interval, wilson
from gramr2.evaluation.power import design_effect, labels_for

INDEPENDENT = ((0.65, 0.5), (0.8, 0.7), (0.42, 0.5), (0.9, 0.85))
"""accuracy and bar"""
PROMPT = 4


def independent(accuracy: float, bar: float, n: int, draws: int, seed: int) -> float:
    """The share of draws of ``n`` independent comparisons whose interval excludes the bar."""
    drawn = random.Random(seed)
    bounds = [wilson(hits, n) for hits in range(n + 1)]
    found = (bounds[sum(drawn.random() < accuracy for _ in range(n))] for _ in range(draws))
    return sum(not each.low <= bar <= each.high for each in found) / draws


def alike(accuracy: float, bar: float, rho: float, n: int, draws: int, seed: int) -> float:
    """The same of prompts of four comparisons with intraclass correlation ``rho``."""
    drawn = random.Random(seed)
    excluded = 0
    for _ in range(draws):
        values: list[bool] = []
        for _ in range(n // PROMPT):
            whole, together = drawn.random() < accuracy, drawn.random() < rho
            values += [whole if together else drawn.random() < accuracy for _ in range(PROMPT)]
        bounds = accuracy_interval(values, [str(i // PROMPT) for i in range(len(values))])
        excluded += not bounds.low <= bar <= bounds.high
    return excluded / draws


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--grouped", type=int, default=1000, help="draws with prompts of four")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| accuracy | bar | prompts | n | excluded |\n|---|---|---|---|---|")
    for accuracy, bar in INDEPENDENT:
        n = labels_for(accuracy, bar)
        assert n is not None
        power = independent(accuracy, bar, n, given.draws, given.seed)
        print(f"| {accuracy} | {bar} | of one comparison | {n} | {100 * power:.1f} % |")
    accuracy, bar, rho = 0.65, 0.5, 0.5
    design = design_effect(rho, [i // PROMPT for i in range(10 * PROMPT)])
    for label, factor in (("of four, ρ = 0.5", design), ("of four, without the design effect", 1.0)):
        n = labels_for(accuracy, bar, factor)
        assert n is not None
        power = alike(accuracy, bar, rho, n, given.grouped, given.seed)
        print(f"| {accuracy} | {bar} | {label} | {n} | {100 * power:.1f} % |")


if __name__ == "__main__":
    main()
