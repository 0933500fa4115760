"""Public benchmarks by name: one file each, which defines it as a constant.

loaded = load("judgebench", "judgebench.jsonl", seed=0)
answered = gramr2.rewards.benchmarks.answer(loaded, judge)
scores = loaded.benchmark.scores(loaded.items, answered.answers)
"""

from __future__ import annotations

from pathlib import Path

from gramr2 import registry
from gramr2.errors import ConfigError
from gramr2.evaluation.benchmarks.base import Benchmark, Score
from gramr2.evaluation.benchmarks.failures import OnFailure
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item, Pair, Placing, Verdict, verdict_of
from gramr2.evaluation.benchmarks.loading import LoadedBenchmark, open_benchmark
from gramr2.text import hint

__all__ = [
    "Answer",
    "Benchmark",
    "Choice",
    "Item",
    "LoadedBenchmark",
    "OnFailure",
    "Pair",
    "Placing",
    "Score",
    "Verdict",
    "benchmark",
    "benchmarks",
    "load",
    "open_benchmark",
    "verdict_of",
]


def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark by its name, sorted."""
    found = registry.instances("benchmarks", Benchmark)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def benchmark(name: str) -> Benchmark:
    """A benchmark by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    known = benchmarks()
    if name not in known:
        raise ConfigError(
            f"there is no benchmark {name!r}{hint(name, known)}: take one of {', '.join(known)}, or give a file"
        )
    return known[name]


def load(
    name: str,
    source: str | Path | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
    revision: str | None = None,
) -> LoadedBenchmark:
    """Open a benchmark by its name; see ``open_benchmark``. Also raises ConfigError for an unknown name."""
    return open_benchmark(benchmark(name), source, seed=seed, limit=limit, revision=revision)
