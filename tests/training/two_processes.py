"""Fine-tunes the model in one folder into another: what ``torchrun`` starts in a test of several processes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from teaching import ITEMS

from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.template import JudgeTemplate
from gramr2.training.examples import lessons_from
from gramr2.training.sft import TrainingReport, fine_tune


def train(start: Path, into: Path, settings: dict[str, object], count: int = 8) -> tuple[TrainingReport, list[int]]:
    """The report, and the steps that were reported on the way. The last comparisons stop the training, if any do."""
    config = TrainingConfig.model_validate(settings)
    lessons = lessons_from(ITEMS, "both", 0, direct=True)
    steps: list[int] = []
    report = fine_tune(
        start,
        into,
        [*lessons, *lessons][:count],
        JudgeTemplate(),
        config,
        ModelConfig(name="x"),
        seed=3,
        held_out=lessons[1:4] if config.early_stop else (),
        on_step=lambda done, total, loss: steps.append(done),
    )
    return report, steps


if __name__ == "__main__":
    report, steps = train(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
    # One write a process, so that lines do not mix.
    sys.stdout.write(json.dumps([asdict(report), steps]) + "\n")
