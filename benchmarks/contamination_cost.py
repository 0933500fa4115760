"""What looking for a benchmark in training data costs: processor time and memory for each training comparison.

    python benchmarks/contamination_cost.py [--n 5000 20000] [--items 2000] [--leaked 0.05] [--seed 0]

Texts are random words: 40 in a prompt, 130 in a response. With --leaked that share of the training comparisons repeats the
prompt and a response of a benchmark item. Memory is that of the process, beyond what it is once the benchmark is indexed; every
number of comparisons has a process of its own. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gramr2.comparison import Comparison
from gramr2.evaluation.overlaps import Index, Limits

WORDS, PROMPT, RESPONSE = 50_000, 40, 130
PAGE = 4096


def text(drawn: random.Random, count: int) -> str:
    """Random words."""
    return " ".join(f"w{drawn.randrange(WORDS)}" for _ in range(count))


def comparison(drawn: random.Random, name: str) -> Comparison:
    """A comparison of random words."""
    return Comparison.of(text(drawn, PROMPT), text(drawn, RESPONSE), text(drawn, RESPONSE), id=name)


def training(count: int, leaked: float, items: Sequence[Comparison], seed: int) -> Iterator[Comparison]:
    """Training comparisons, of which a share has the prompt and a response of an item."""
    drawn = random.Random(f"train {seed}")
    for number in range(count):
        each = comparison(drawn, f"t{number}")
        if drawn.random() < leaked:
            item = drawn.choice(items)
            each = Comparison(each.id, item.prompt, (item.responses[0], each.responses[1]))
        yield each


def resident() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def measure(count: int, items: int, leaked: float, seed: int) -> dict[str, float]:
    """Milliseconds and bytes a training comparison, mebibytes in all, and items found."""
    drawn = random.Random(f"items {seed}")
    bench = [comparison(drawn, f"b{number}") for number in range(items)]
    index = Index(Limits())
    index.add(bench)
    before, spent = resident(), 0.0
    for each in training(count, leaked, bench, seed):
        begun = time.process_time()
        index.look("", each)
        spent += time.process_time() - begun
    grown = resident() - before
    found = sum(index.matches(number)["response_a"].seen > 0 for number in range(items))
    return {"ms": 1000 * spent / count, "bytes": grown / count, "MiB": grown / 2**20, "found": found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--leaked", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    print("| training comparisons | of them leaked | ms each | bytes each | MiB in all | items found |")
    print("|---|---|---|---|---|---|")
    for count in given.n:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            told = pool.apply(measure, (count, given.items, given.leaked, given.seed))
        cells = (f"{told['ms']:.2f}", f"{told['bytes']:.0f}", f"{told['MiB']:.1f}", f"{told['found']:.0f}")
        print(f"| {count} | {given.leaked:.0%} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
