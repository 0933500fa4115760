"""RM-Bench: three right and three wrong answers that differ in style, compared each with each.

Source: Liu et al. 2024, arXiv 2410.16184; README.md and ``compute_accuracy`` in ``scripts/utils.py`` of
github.com/THU-KEG/RM-Bench.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from gramr2.evaluation.benchmarks.base import Benchmark, Hub, Values, credits_of
from gramr2.evaluation.benchmarks.columns import Place, Row, column, numbers, prompt, text, texts, word
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Answer, Item, placed
from gramr2.messages import BadRowError

DOMAINS = ("chat", "math", "code", "safety")
STYLES = 3


class RMBench(Benchmark):
    """The cell (i, j) of the matrix is the right answer in style i against the wrong one in style j. Styles are concise, detailed
    plain text and detailed Markdown, so above the diagonal the wrong answer is the fancier one."""

    name = "rmbench"
    measures = "small errors of content, whatever the style: chat, code, math, safety"
    asks = "1327 prompts with 9 pairs each"
    metric = (
        "mean of four domains; a domain is the mean of hard (cells above the diagonal), normal (the diagonal) and easy (below); "
        "a tie is wrong"
    )
    layout = "`id`, `domain`, `prompt`, and lists of three texts `chosen` and `rejected`, from concise to Markdown"
    verified = "a fixture by hand; random scores against `compute_accuracy` of the repository; the layout on its files"
    licence = "ODC-BY on its data card, none in the repository"
    home = "https://huggingface.co/datasets/THU-KEG/RM-Bench"
    hub = (Hub("THU-KEG/RM-Bench", "train"),)
    sections = DOMAINS
    skips = ("total_dataset",)

    def read(self, row: Row, place: Place) -> list[Item]:
        domain = word(row, "domain") or place.part.rpartition("/")[2].removesuffix("_filtered")
        name = f"{domain}:{word(row, 'id') or place.default_id}"
        return _cells(row, place, name, domain, texts(row, "chosen"), texts(row, "rejected"))

    def own(self, row: Row, place: Place) -> list[Item]:
        """Six responses with scores 1 and 0, the right ones first and styles in the same order."""
        answers, right = texts(row, "responses"), numbers(row, "scores")
        if right != [1.0] * STYLES + [0.0] * STYLES:
            raise BadRowError("scores must be 1, 1, 1, 0, 0, 0")
        domain = text(row, "category").removeprefix("rmbench-")
        name = str(column(row, "id"))
        return _cells(row, place, name, domain, answers[:STYLES], answers[STYLES:])

    def section(self, item: Item) -> str:
        return (item.category or "none").partition("-")[0]

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        cells: dict[tuple[str, int, int], list[float | None]] = {}
        for item, each in zip(items, credits_of(items, answers, policy), strict=True):
            cells.setdefault((self.section(item), *item.facts["cell"]), []).append(each)
        matrix = {key: mean(values) for key, values in cells.items()}
        levels: dict[str, list[float | None]] = {"easy": [], "normal": [], "hard": []}
        domains: Values = {}
        for domain in DOMAINS:
            parts = {
                "easy": mean([value for (d, i, j), value in matrix.items() if d == domain and i > j]),
                "normal": mean([value for (d, i, j), value in matrix.items() if d == domain and i == j]),
                "hard": mean([value for (d, i, j), value in matrix.items() if d == domain and i < j]),
            }
            if any(value is not None for value in parts.values()):
                domains[domain] = mean(parts.values())
            for level, value in parts.items():
                levels[level].append(value)
        return {
            **domains,
            **{level: mean(values) for level, values in levels.items()},
            "overall": mean(domains.values()),
        }


def _cells(row: Row, place: Place, name: str, domain: str, good: Sequence[str], bad: Sequence[str]) -> list[Item]:
    if len(good) != STYLES or len(bad) != STYLES:
        raise BadRowError(f"there must be {STYLES} right and {STYLES} wrong answers, not {len(good)} and {len(bad)}")
    turns = prompt(row)
    found: list[Item] = []
    for i, j in product(range(STYLES), repeat=2):
        pair = placed(place.seed, f"{name}:{i}{j}", turns, good[i], bad[j], category=domain, group=name)
        found.append(replace(pair, facts={"cell": (i, j)}))
    return found


RMBENCH = RMBench()
