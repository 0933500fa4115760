"""Training tokens per second, loss and memory, beside TRL's SFTTrainer on the same examples.

    python benchmarks/training.py [--data starter:labeled] [--model smollm2-135m] [--steps 12] [--repeats 3]
        [--precision float32] [--json FILE]

Every training runs in a process of its own, in turn: ours (four comparisons in both orders a step, the loss on rationale and
verdict), TRL with its defaults (eight sequences a step, gradient checkpointing), and TRL without gradient checkpointing. All
sequences are the same ids with the loss on the same tokens. Weights are in fp32 and products in --precision for all: bf16, TRL's
default, is slower on most CPUs. Time counts from the second step. Tokens are those of prompts and answers, without padding. The
loss after training is that of held-out comparisons, in nats per answer token, measured in the same way for all. Memory is the
largest resident size of the process or, with a GPU, the most that was allocated there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIDES = ("ours", "trl", "trl-plain")
COMPARISONS, ORDERS = 4, 2
HELD_OUT = 24


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="starter:labeled")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--json", type=Path, dest="path")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print("RESULT", json.dumps(train(options)), flush=True)
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(options.repeats):
        for side in SIDES:
            found[side].append(apart([sys.executable, __file__, *sys.argv[1:], "--side", side]))
    from gramr2.backends.hardware import versions

    report = compared(found)
    report |= {"steps": options.steps, "load_average": os.getloadavg(), "versions": versions()}
    text = json.dumps(report, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Every figure of each side by repeat, and how many times as fast ours is."""
    report: dict[str, Any] = {
        side: {name: [round(row[name], 4) for row in rows] for name in rows[0]} for side, rows in found.items()
    }
    for side in SIDES[1:]:
        pairs = zip(found["ours"], found[side], strict=True)
        ratios = [ours["tokens_per_s"] / theirs["tokens_per_s"] for ours, theirs in pairs]
        report[f"ours to {side}"] = {"ratios": [round(each, 2) for each in ratios], "median": statistics.median(ratios)}
    return report


def apart(command: list[str]) -> dict[str, float]:
    """The result of one training."""
    ended = subprocess.run(command, capture_output=True, text=True)
    line = next((each for each in ended.stdout.splitlines() if each.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(ended.stderr[-2000:])
    row: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    return row


def train(options: argparse.Namespace) -> dict[str, float]:
    """Train one side in this process, and measure the model that it saved."""
    import torch

    from gramr2.backends.registry import resolve
    from gramr2.data import load_labeled
    from gramr2.training.examples import training_examples

    labeled = load_labeled(options.data)[0]
    learnt, held = labeled[: COMPARISONS * options.steps], labeled[-HELD_OUT:]
    examples, held_out = (training_examples(some, "both", 1, direct=False) for some in (learnt, held))
    folder = resolve(options.model)
    with tempfile.TemporaryDirectory() as scratch:
        into = Path(scratch) / "model"
        if options.side == "ours":
            tokens, ticks = ours(folder, into, examples, options.steps, options.precision)
        else:
            plain = options.side == "trl-plain"
            tokens, ticks = trl(folder, into, examples, options.steps, options.precision, plain=plain)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        if torch.cuda.is_available():
            most = torch.cuda.max_memory_allocated() / 2**30
        loss = measured(into, held_out)
    steady = (ticks[-1] - ticks[0]) * len(ticks) / (len(ticks) - 1)
    return {"tokens_per_s": tokens / steady, "peak_gib": most, "held_out_loss": loss, "steps": len(ticks)}


def ours(folder: Path, into: Path, examples: Sequence[Any], steps: int, precision: str) -> tuple[int, list[float]]:
    """Tokens, and when each step ended."""
    from gramr2.config.training import ModelConfig, TrainingConfig
    from gramr2.judging.template import JudgeTemplate
    from gramr2.training.sft import fine_tune

    ticks: list[float] = []
    config = TrainingConfig(epochs=1, min_steps=0, batch_size=COMPARISONS, learning_rate=5e-5, precision=precision)  # type: ignore[arg-type]
    config = config.model_copy(update={"verdict": config.verdict.model_copy(update={"weight": 0.0})})
    report = fine_tune(
        folder,
        into,
        examples,
        JudgeTemplate(),
        config,
        ModelConfig(name=str(folder)),
        seed=1,
        on_step=lambda done, total, loss: ticks.append(time.perf_counter()),
    )
    assert len(ticks) == steps
    return report.prompt_tokens + report.completion_tokens, ticks


def trl(
    folder: Path, into: Path, examples: Sequence[Any], steps: int, precision: str, *, plain: bool
) -> tuple[int, list[float]]:
    """Tokens, and when each step ended."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from gramr2.backends.encoding import Encoder
    from gramr2.judging.template import JudgeTemplate
    from gramr2.training.examples import encode

    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = Encoder(tokenizer)
    rows = [encode(form, encoder, JudgeTemplate()) for example in examples for form in example]
    data = Dataset.from_list(
        [
            {"input_ids": [*row.prompt, *row.answer], "completion_mask": [0] * len(row.prompt) + [1] * len(row.answer)}
            for row in rows
        ]
    )
    ticks: list[float] = []

    class Ticks(TrainerCallback):  # type: ignore[misc]
        """Notes when each step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # ours waits for its loss
            ticks.append(time.perf_counter())

    changed = {"gradient_checkpointing": False} if plain else {}
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=SFTConfig(
            output_dir=str(into.with_name("trl")),
            per_device_train_batch_size=COMPARISONS * ORDERS,
            max_steps=steps,
            learning_rate=5e-5,
            bf16=precision == "bfloat16",
            max_length=None,
            save_strategy="no",
            report_to="none",
            seed=1,
            **changed,
        ),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[Ticks()],
    )
    trainer.train()
    trainer.save_model(str(into))
    tokenizer.save_pretrained(into)
    return sum(len(row.prompt) + len(row.answer) for row in rows), ticks


def measured(folder: Path, examples: Sequence[Any]) -> float:
    """Loss on examples, in nats per answer token."""
    from gramr2.backends.scoring import ScoreBatching, score_all
    from gramr2.backends.transformers import TransformersBackend
    from gramr2.judging.template import JudgeTemplate
    from gramr2.training.examples import encode

    backend = TransformersBackend(folder)
    rows = [encode(form, backend.encoder, JudgeTemplate()) for example in examples for form in example]
    items = [([*row.prompt], [*row.answer]) for row in rows]
    import torch

    with torch.inference_mode():
        scores = score_all(backend.model, backend.device, items, ScoreBatching(4096, 1 << 28, mixed_lengths=True))
    return -sum(each.logprob for each in scores) / sum(each.tokens for each in scores)


if __name__ == "__main__":
    main()
