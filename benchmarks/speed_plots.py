"""The figures of docs/performance.md, drawn from the measurements beside it.

    python benchmarks/speed_plots.py [--docs docs]

Reads judging-speed-text.json, training-speed.json (``judging.py``, ``training.py``), gpu.json (``gpu.sh``) and growth.json
(``scaling.py``), and writes speed.svg, gpu.svg and growth.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gramr2.files import write_text
from gramr2.reporting import plots

WAYS = {
    "batched": "generate, batched",
    "vllm": "vLLM",
    "fixed": "all votes",
    "adaptive": "--certainty 0.95",
    "direct-first": "--direct-certainty 0.9",
    "direct-first@0.6": "--direct-certainty 0.6",
    "direct": "direct reading alone",
}
TRAINERS = {"trl": "TRL's defaults", "trl-plain": "TRL, no checkpointing", "ours": "gramr2"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the files are, and where the figures go")
    docs = parser.parse_args(arguments).docs

    def read(name: str) -> Any:
        return json.loads((docs / f"{name}.json").read_text(encoding="utf-8"))

    write_text(docs / "speed.svg", speed(read("judging-speed-text"), read("training-speed")))
    write_text(docs / "gpu.svg", gpu(read("gpu")))
    write_text(docs / "growth.svg", growth(read("growth")))


def speed(judging: dict[str, Any], training: dict[str, Any]) -> str:
    """Two cores: seconds per decision of each way to judge, tokens a second of each way to train."""
    ways = {name: judging["ways"][key]["seconds"] for key, name in WAYS.items() if key in judging["ways"]}
    rates = {name: training[key]["tokens_per_s"] for key, name in TRAINERS.items() if key in training}
    return plots.repeats({"judging: seconds per decision": ways, "training: tokens per second": rates})


def gpu(measured: dict[str, Any]) -> str:
    """Samples side by side against tokens a second, with steps recorded and computed; and before and after that was measured."""
    rows = [row for row in measured["rows"].values() if isinstance(row, dict)]
    computed = measured["rows"]["eager"]
    lines = {
        "steps recorded": [(row["rows"], row["tokens_per_s"]) for row in rows if row is not computed],
        "computed": [(computed["rows"], computed["tokens_per_s"])],
    }
    tokens = "tokens per second"
    panels = {("samples side by side, 1B", tokens): lines}
    runs = {"now": measured, "first run": measured.get("before")}
    sizes = [("judging 1b", 1.2), ("judging 8b", 8.0)]
    shown = {
        name: [(size, run[key]["voted_tokens_per_s"]) for key, size in sizes if key in run]
        for name, run in runs.items()
        if run
    }
    return plots.growth(panels | {("parameters, billions", tokens): shown})


def growth(measured: dict[str, Any]) -> str:
    """Seconds against size: the journal, judging, a run of one round and its report."""
    names = {"write_s": "written", "open_s": "opened", "read_s": "read"}
    journal = {name: _line(measured["journal"], key) for key, name in names.items()}
    runs = {
        "judging": _line(measured["judging"], "judge_s"),
        "a run of one round": _line(measured["report"], "run_s"),
        "its report": _line(measured["report"], "report_s"),
    }
    return plots.growth({("answers in the journal", "seconds"): journal, ("unlabelled comparisons", "seconds"): runs})


def _line(part: dict[str, Any], key: str) -> list[tuple[float, float]]:
    return [(int(size), row[key]) for size, row in part["rows"].items()]


if __name__ == "__main__":
    main()
