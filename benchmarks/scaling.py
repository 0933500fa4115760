"""How time and memory grow with the work: journal, report, and judging with a scripted judge.

    python benchmarks/scaling.py [--records 10000,100000,1000000] [--comparisons 1000,4000,16000] [--responses 4,8,16]
        [--json FILE]

- journal: answers written, found again when it is opened, and read, each in microseconds a record, and the resident memory that
  an open journal adds, in a process of its own for each size
- judging: a scripted judge with four votes in both orders, in microseconds a vote
- ranking: all pairs of n responses, comparisons and seconds
- report: a run's report by the number of comparisons in its pool, with a scripted judge, and its size

Beside every figure stands the exponent: the slope of log time on log size between the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gramr2.backends.hardware import versions
from gramr2.comparison import Comparison, Message, ResponseSet
from gramr2.config import parse_config
from gramr2.files import write_jsonl
from gramr2.journal import Journal, address
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.records import comparison_row
from gramr2.judging.scripted import scripted
from gramr2.reporting.report import write_report
from gramr2.rewards.ranking import rank
from gramr2.rewards.tournaments import tournament
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine

TEXT = "Feedback: Response A and Response B were read with care. " * 20
"""about the length of a rationale"""


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="10000,100000,1000000")
    parser.add_argument("--comparisons", default="1000,4000,16000")
    parser.add_argument("--responses", default="4,8,16")
    parser.add_argument("--json", type=Path, dest="path")
    options = parser.parse_args()
    records, comparisons, responses = (
        [int(each) for each in getattr(options, name).split(",")] for name in ("records", "comparisons", "responses")
    )
    found: dict[str, Any] = {
        "journal": series(journal, records),
        "judging": series(judging, comparisons),
        "report": series(report, comparisons),
        "ranking": series(ranking, responses),
        "load_average": os.getloadavg(),
        "versions": versions(),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


def series(measure: Callable[[int], dict[str, float]], sizes: list[int]) -> dict[str, Any]:
    """A measurement by size, each in a new process, and the exponent of each of its total times."""
    rows = {}
    for size in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows[size] = pool.apply(measure, (size,))
    first, last = sizes[0], sizes[-1]
    exponents = {
        name: round(math.log(rows[last][name] / rows[first][name]) / math.log(last / first), 2)
        for name in rows[first]
        if name.endswith("_s") and rows[first][name] > 0
    }
    return {"rows": rows, "exponents": exponents}


def journal(count: int) -> dict[str, float]:
    """A journal of so many answers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal.jsonl"
        keys = [address("model", number) for number in range(count)]
        answer = {"text": TEXT, "finish_reason": "stop", "label_logprobs": {"A": -0.1, "B": -2.5, "tie": -5.0}}
        start = time.perf_counter()
        with Journal(file) as written:
            for key in keys:
                written.write(key, answer)
        writing = time.perf_counter() - start
        del written
        before = _resident()
        start = time.perf_counter()
        with Journal(file) as opened:
            opening = time.perf_counter() - start
            after = _resident()
            start = time.perf_counter()
            assert all(opened.read(key) for key in keys)
            reading = time.perf_counter() - start
        return {
            "write_s": writing,
            "open_s": opening,
            "read_s": reading,
            "us_per_record": 1e6 * (writing + opening + reading) / count,
            "added_mib": after - before,
            "file_mib": file.stat().st_size / 2**20,
        }


def judging(count: int) -> dict[str, float]:
    """A scripted judge: what everything around the model costs."""
    judge = Judge(scripted("random"), sampling=Sampling(votes=4))
    items = [_comparison(number) for number in range(count)]
    start = time.perf_counter()
    judge.judge(items)
    seconds = time.perf_counter() - start
    return {"judge_s": seconds, "us_per_vote": 1e6 * seconds / (8 * count), "peak_mib": _peak()}


def report(count: int) -> dict[str, float]:
    """One round on a pool of so many comparisons, and its report."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_jsonl(folder / "pool.jsonl", (comparison_row(_comparison(number)) for number in range(count)))
        config = parse_config(
            {
                "model": "none",
                "data": {
                    "seed": {"path": "starter:labeled", "limit": 20},
                    "pool": str(folder / "pool.jsonl"),
                    "gold": {"path": "starter:gold", "limit": 20},
                },
                "judge": {"verdict": "reasoned", "pool": {"votes": 2}},
                "filters": [{"kind": "confidence", "threshold": 0.6, "calibrate": False}],
                "rounds": 1,
            }
        )
        start = time.perf_counter()
        SelfTraining(config, folder / "run", engine=ScriptedEngine()).run()
        running = time.perf_counter() - start
        start = time.perf_counter()
        page = write_report(folder / "run")
        writing = time.perf_counter() - start
        votes = 4 * count
        return {
            "run_s": running,
            "report_s": writing,
            "us_per_judgment": 1e6 * (running + writing) / votes,
            "report_mib": page.stat().st_size / 2**20,
            "peak_mib": _peak(),
        }


def ranking(count: int) -> dict[str, float]:
    """All pairs of so many responses."""
    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
    responses = ResponseSet("0", (Message("user", "q"),), tuple("x" * n for n in range(1, count + 1)))
    start = time.perf_counter()
    (found,) = rank(judge, [responses], tournament("round-robin", None))
    return {"rank_s": time.perf_counter() - start, "comparisons": float(len(found.matches))}


def _comparison(number: int) -> Comparison:
    prompt = (Message("user", f"Question {number}: {'why is it so? ' * 8}"),)
    return Comparison(str(number), prompt, (f"Because of {number}. " * 12, f"Nobody knows about {number + 1}. " * 9))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
