"""What workers of Ray gain on one machine, and what one call costs as a Ray Data pipeline and with workers that stay.

    python benchmarks/workers.py [POOL.jsonl] [--model smollm2-135m] [--limit 128] [--repeats 1]

Label-only judgments, both orders. Loading is not in the times of judging; the ways of judging take turns.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pickle
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import ray
import torch

from gramr2.backends.base import Decoding, GenerationRequest
from gramr2.backends.hardware import versions
from gramr2.backends.ray_workers import on_ray
from gramr2.backends.registry import resolve
from gramr2.backends.transformers import CHUNK, TransformersBackend
from gramr2.comparison import Message
from gramr2.config.engine import EngineConfig
from gramr2.data import load_unlabeled
from gramr2.hashing import digest_of
from gramr2.judging.judge import Judge
from gramr2.judging.records import decision_row
from gramr2.judging.template import JudgeMode, JudgeTemplate


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    start = time.perf_counter()
    found = what()
    return time.perf_counter() - start, found


class Piped:
    """The class of a Ray Data pipeline: a row is a chunk of requests."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.backend = TransformersBackend(resolve("lab-tiny"))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"answers": pickle.dumps(list(self.backend.generate(pickle.loads(row["chunk"]))))}


def piped(requests: Sequence[GenerationRequest]) -> int:
    """One call as a pipeline with two actors; the number of answers."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"chunk": pickle.dumps(requests[at : at + CHUNK])} for at in range(0, len(requests), CHUNK)]
    pipeline = ray.data.from_items(rows, override_num_blocks=len(rows))
    found = pipeline.map(Piped, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1)
    return sum(len(pickle.loads(row["answers"])) for row in found.iter_rows())


def judging(pool: str, model: str, limit: int, repeats: int) -> dict[str, Any]:
    """Seconds of judging the same comparisons here and with workers, all loaded before."""
    comparisons, _ = load_unlabeled(pool, limit=limit)
    opened = partial(TransformersBackend, resolve(model), device="cpu")
    torch.set_num_threads(2)
    here = opened()
    load: dict[str, float] = {}
    ways: dict[str, Any] = {"local, 2 threads": here}
    for size in (1, 2):
        workers = on_ray(opened, here.count_tokens, EngineConfig(kind="ray", workers=size, threads=1), "cpu")
        name = f"{size} worker{'s' * (size > 1)}, 1 thread each"
        load[name] = round(timed(lambda workers=workers: workers.facts)[0], 1)
        ways[name] = workers
        # A worker that still loads would take processor time from those that judge.
        while workers._loading:
            workers._look({})
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows: dict[str, str] = {}
    for _ in range(repeats):
        for name, backend in ways.items():
            judge = Judge(backend, JudgeTemplate(JudgeMode.LABEL)).direct
            spent, decisions = timed(lambda judge=judge: judge.judge(comparisons))
            seconds[name].append(round(spent, 2))
            rows[name] = digest_of([decision_row(each) for each in decisions])
    for name in load:
        ways[name].close()
    return {
        "comparisons": len(comparisons),
        "seconds": seconds,
        "a second": {name: round(len(comparisons) / median(each), 2) for name, each in seconds.items()},
        # Without a journal, the model here is asked for all at once and not in chunks: its last digits may be others.
        "rows": rows,
        "load": load,
    }


def pipelines() -> dict[str, Any]:
    """Seconds of a call of two chunks: as a Ray Data pipeline, and with workers that stay."""
    requests = [
        GenerationRequest((Message("user", f"Is it {i}?"),), (1,), Decoding(0.0, 1.0, 1)) for i in range(2 * CHUNK)
    ]
    pipeline = [round(timed(lambda: piped(requests))[0], 1) for _ in range(2)]
    opened = partial(TransformersBackend, resolve("lab-tiny"), device="cpu")
    workers = on_ray(opened, lambda messages, answer: 0, EngineConfig(kind="ray", workers=2, threads=1), "cpu")
    calls = [round(timed(lambda: list(workers.generate(requests)))[0], 2) for _ in range(3)]
    workers.close()
    return {"Ray Data": pipeline, "workers, with loading": calls[0], "workers, later": calls[1:]}


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", nargs="?", help="without it, only the calls are measured")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--limit", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    asked = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    found = judging(asked.pool, asked.model, asked.limit, asked.repeats) if asked.pool else {}
    found |= {"a call of 256 requests, lab-tiny": pipelines(), "versions": f"{versions()}, ray {ray.__version__}"}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
