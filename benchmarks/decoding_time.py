"""Where judging spends its time: prompts and decoding, and of each the matrix products and attention.

    python benchmarks/decoding_time.py --data FILE [--model smollm2-135m] [--comparisons 8] [--votes 8] [--new-tokens 48]
        [--dtype float32] [--json FILE]

The parts are timed inside one run of all votes in both orders, by functions around them; what is left is norms, rotations and the
interpreter. On a CPU, where nothing runs on after a call has returned.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gramr2.backends import continuous, packing, prefill, sampling, shared_attention
from gramr2.backends.hardware import versions
from gramr2.data import load_labeled
from gramr2.data.split import subset
from gramr2.judging.judge import Judge, Sampling
from gramr2.loading import JudgeOptions, generative_judge


class Times:
    """Seconds and calls, by part."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.inside: list[str] = []
        """the parts that run now, outermost first"""

    def around(self, function: Callable[..., Any], name: Callable[[], str]) -> Callable[..., Any]:
        """The function, timed under the name that holds when it is called."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            part, start = name(), time.perf_counter()
            self.inside.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.inside.pop()
                self.seconds[part] += time.perf_counter() - start
                self.calls[part] += 1

        return timed

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """Time every call of a function of a module or class."""
        setattr(owner, attribute, self.around(getattr(owner, attribute), lambda: name))


def phase(times: Times) -> str:
    """The outermost part that runs now."""
    return times.inside[0] if times.inside else "opening"


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled comparisons")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--comparisons", type=int, default=8)
    parser.add_argument("--votes", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, dest="path")
    options = parser.parse_args()
    drawn = subset(load_labeled(options.data)[0], options.comparisons, options.seed, key=lambda i: i.comparison.id)
    times = Times()
    layer = packing._packed
    packing._packed = lambda weight, bias: times.around(layer(weight, bias), lambda: f"{phase(times)}: products")
    attention = times.around(shared_attention.attend, lambda: f"{phase(times)}: attention")
    shared_attention.AttentionInterface.register(shared_attention.NAME, attention)
    times.watch(continuous.Slots, "advance", "decoding")
    times.watch(continuous.Slots, "feed_queued", "texts fed at once")
    times.watch(prefill, "_continue", "prompts")
    times.watch(sampling.Stepper, "step", "tokens chosen")
    judge = generative_judge(options.model, JudgeOptions(mode="reason", verdict="reasoned", dtype=options.dtype))
    # Opening the model has used it.
    times.seconds.clear()
    times.calls.clear()
    how = Sampling(votes=options.votes, max_new_tokens=options.new_tokens, close_on_budget=True)
    start = time.perf_counter()
    Judge(judge.backend, judge.template, how).judge([item.comparison for item in drawn], seed=options.seed)
    whole = time.perf_counter() - start
    report = {
        "n": len(drawn),
        "seconds_per_decision": whole / len(drawn),
        "parts": {
            name: {
                "seconds_per_decision": round(seconds / len(drawn), 3),
                "calls": times.calls[name],
                "ms_per_step": round(1000 * seconds / times.calls["decoding"], 1) if "decoding" in name else None,
            }
            for name, seconds in times.seconds.most_common()
        },
        "votes": options.votes,
        "new_tokens": options.new_tokens,
        "dtype": options.dtype,
        "seed": options.seed,
        "load_average": os.getloadavg(),
        "versions": versions(),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
