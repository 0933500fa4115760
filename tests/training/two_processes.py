"""Fine-tunes the model in one folder into others, one after the other: what ``torchrun`` starts in a test of several processes."""

from __future__ import annotations

import gc
import json
import math
import os
import sys
from dataclasses import asdict
from pathlib import Path

from teaching import ITEMS

from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.template import JudgeTemplate
from gramr2.training import checkpoints
from gramr2.training.examples import training_examples
from gramr2.training.sft import TrainingReport, fine_tune


def train(
    start: Path, into: Path, settings: dict[str, object], count: int = 8, stop: int = 0
) -> tuple[TrainingReport, list[int]]:
    """The report, and the steps that were reported on the way. The last comparisons stop the training, if any do.

    Args:
        stop: a step that kills the process which reports it.
    """
    config = TrainingConfig.model_validate(settings)
    examples = training_examples(ITEMS, "both", 0, direct=True)
    steps: list[int] = []

    def on_step(done: int, total: int, loss: float | None) -> None:
        steps.append(done)
        if done == stop:
            os._exit(9)

    report = fine_tune(
        start,
        into,
        [*examples, *examples][:count],
        JudgeTemplate(),
        config,
        ModelConfig(name="x"),
        seed=3,
        held_out=examples[1:4] if config.early_stop else (),
        on_step=on_step,
    )
    return report, steps


if __name__ == "__main__":
    gc.freeze()  # the libraries stay, and looking through them takes longer than a step
    # A checkpoint after every step.
    checkpoints.SECONDS, checkpoints.SHARE = 0.0, math.inf
    start, trainings = Path(sys.argv[1]), json.loads(sys.argv[2])
    for name, given in trainings.items():
        report, steps = train(start, Path(given["into"]), given["settings"], stop=given.get("stop", 0))
        # One write a process, so that lines do not mix.
        sys.stdout.write(json.dumps([name, asdict(report), steps]) + "\n")
        sys.stdout.flush()
