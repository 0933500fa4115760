"""What needs a GPU, measured in one go: see ``benchmarks/gpu.sh``.

    python benchmarks/gpu.py --json FILE [--shapes 1b 8b] [--device auto] [--parts tests decisions judging training vllm]

Needs no model but the one that ships with gramr2: those of 1 and 8 billion parameters have Llama's shapes (3.2 1B, 3.1 8B)
and random weights, so that speed and memory are real and verdicts are noise. Each part runs in a process of its own with a time
limit, and a part that fails says why in the result and stops no other.

- tests: those of the backends and of training, on this device
- decisions: of lab-tiny in the device's own precision and on the CPU in fp32: how many labels agree
- judging: prompt tokens per second of direct verdicts, and tokens per second of eight votes of up to 64 tokens
- training: tokens per second and peak memory, all weights for up to two billion parameters, LoRA above
- vllm: ``benchmarks/judging.py`` beside vLLM on the first shape, if it is installed here
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from gramr2.backends import random_model
from gramr2.backends.hardware import choose_device, versions
from gramr2.backends.transformers import TransformersBackend
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.data import load_labeled
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate

SHAPES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
VOCABULARY = 128_256
LIMITS = {"tests": 240, "decisions": 90, "judging": 150, "training": 150, "vllm": 240}
"""seconds of a part, for each shape"""
FULL = 2e9
"""parameters up to which all weights are trained"""


def main() -> None:
    """Run the parts, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, dest="path")
    parser.add_argument("--shapes", nargs="*", default=None, help=", ".join(SHAPES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parts", nargs="+", default=[*LIMITS])
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.shapes = options.shapes or ["1b", "8b"]
    if options.part:
        print("RESULT", json.dumps(PARTS[options.part](options)), flush=True)
        return
    found: dict[str, Any] = {"versions": versions(), "device": described(options.device)}
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.parts:
            for shape in options.shapes if part in ("judging", "training", "vllm") else [None]:
                name = part if shape is None else f"{part} {shape}"
                found[name] = apart(part, shape, options, Path(scratch))
                options.path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(name, json.dumps(found[name])[:300], flush=True)


def apart(part: str, shape: str | None, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One part in a process of its own."""
    command = [sys.executable, __file__, "--json", os.devnull, "--part", part, "--device", options.device]
    command += ["--folder", str(scratch), *(["--shapes", shape] if shape else [])]
    start = time.monotonic()
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMITS[part])
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {LIMITS[part]} s"}
    line = next((each for each in ended.stdout.splitlines() if each.startswith("RESULT ")), None)
    if line is None:
        return {"failed": ended.stderr.strip()[-600:]}
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result | {"seconds": round(time.monotonic() - start, 1)}


def described(device: str) -> str:
    """The name of the device."""
    chosen = choose_device(device)
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type


def tests(options: argparse.Namespace) -> dict[str, Any]:
    """The tests that use a real model; the device is the one that gramr2 chooses by itself."""
    if find_spec("pytest") is None:
        return {"skipped": "pytest is not installed here"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/backends", "tests/training"]
    plugins = [] if find_spec("pytest_timeout") else ["-o", "addopts=-q"]
    ended = subprocess.run([*command, *plugins], capture_output=True, text=True)
    lines = ended.stdout.strip().splitlines()
    wrong = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"exit": ended.returncode, "said": lines[-1] if lines else ended.stderr[-300:], "wrong": wrong[:20]}


def decisions(options: argparse.Namespace) -> dict[str, Any]:
    """The same comparisons on the device and on the CPU."""
    import gramr2.research.lab.comparisons  # noqa: F401  # registers lab:

    items = [item.comparison for item in load_labeled("lab:test")[0][:200]]
    device = str(choose_device(options.device))
    here = _judge("lab-tiny", device, "auto")
    there = _judge("lab-tiny", "cpu", "float32")
    ours, theirs = here.direct.judge(items), there.direct.judge(items)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.probabilities and b.probabilities]
    return {
        "n": len(items),
        "dtype": str(here.backend.id).rpartition(":")[2],
        "same_label": sum(a.label is b.label for a, b in pairs) / len(pairs),
        "largest_shift": max(abs(a.probabilities.a - b.probabilities.a) for a, b in pairs),  # type: ignore[union-attr]
    }


def judging(options: argparse.Namespace) -> dict[str, Any]:
    """Throughput of both readings on a model of the shape."""
    judge = _judge(str(_shaped(options)), options.device, "auto")
    backend = judge.backend
    assert isinstance(backend, TransformersBackend)
    items = [item.comparison for item in load_labeled("starter:gold")[0][:64]]
    judge.direct.judge(items[:4])  # the first calls choose kernels
    _reset(backend.device)
    start = time.perf_counter()
    direct = judge.direct.judge(items)
    seconds = time.perf_counter() - start
    prompt = sum(vote.prompt_tokens for each in direct for vote in each.judgments)
    start = time.perf_counter()
    voted = judge.judge(items[:16])
    reasoning = time.perf_counter() - start
    written = sum(vote.completion_tokens for each in voted for vote in each.judgments)
    return {
        "parameters": sum(p.numel() for p in backend.model.parameters()),
        "direct_comparisons_per_s": len(items) / seconds,
        "direct_prompt_tokens_per_s": prompt / seconds,
        "voted_comparisons_per_s": 16 / reasoning,
        "voted_tokens_per_s": written / reasoning,
        "peak_gib": _peak(backend.device),
    }


def training(options: argparse.Namespace) -> dict[str, Any]:
    """Twelve steps of eight comparisons in both orders."""
    from gramr2.training.examples import training_examples
    from gramr2.training.sft import fine_tune

    folder = _shaped(options)
    size = SHAPES[options.shapes[0]]
    parameters = (
        size["num_hidden_layers"] * size["hidden_size"] * (size["intermediate_size"] * 3 + size["hidden_size"] * 2.5)
    )
    method = "full" if parameters < FULL else "lora"
    labeled = load_labeled("starter:labeled")[0][:48]
    device = choose_device(options.device)
    _reset(device)
    steps: list[float] = []
    fine_tune(
        folder,
        options.folder / f"trained-{options.shapes[0]}",
        training_examples(labeled, "both", 1, direct=True, reasoned=False),
        JudgeTemplate(JudgeMode.LABEL),
        TrainingConfig(method=method, epochs=2, min_steps=0, batch_size=8, micro_batch_size=8),  # type: ignore[arg-type]
        ModelConfig(name=str(folder), device=options.device),
        seed=1,
        on_step=lambda done, total, loss: steps.append(time.perf_counter()),
    )
    middle = statistics.median(after - before for before, after in pairwise(steps))
    return {"method": method, "steps": len(steps), "comparisons_per_s": 8 / middle, "peak_gib": _peak(device)}


def vllm(options: argparse.Namespace) -> dict[str, Any]:
    """Beside vLLM."""
    if find_spec("vllm") is None:
        return {"skipped": "vllm is not installed here"}
    command = [sys.executable, "benchmarks/judging.py", "--data", "starter:gold", "--model", str(_shaped(options))]
    command += ["--python", sys.executable, "--only", "batched,fixed", "--dtype", "bfloat16"]
    ended = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"\{.*\}", ended.stdout, re.DOTALL)
    return json.loads(found[0]) if found else {"failed": ended.stderr[-600:]}


PARTS = {"tests": tests, "decisions": decisions, "judging": judging, "training": training, "vllm": vllm}


def _judge(model: str, device: str, dtype: str) -> Judge:
    backend = TransformersBackend(model, device=device, dtype=dtype)
    sampling = Sampling(votes=8, temperature=0.75, max_new_tokens=64, close_on_budget=True)
    return Judge(backend, JudgeTemplate(JudgeMode.REASON), sampling)


def _shaped(options: argparse.Namespace) -> Path:
    """A folder with a random model of the shape, made once."""
    shape = options.shapes[0]
    folder: Path = options.folder / shape
    if not (folder / "config.json").exists():
        from transformers import LlamaConfig, LlamaForCausalLM

        random_model.build(folder)
        (folder / "model.safetensors").unlink()
        config = LlamaConfig.from_pretrained(folder)
        config.update(SHAPES[shape] | {"num_key_value_heads": 8 if shape != "small" else 2, "vocab_size": VOCABULARY})
        config.head_dim = config.hidden_size // config.num_attention_heads
        config.tie_word_embeddings, config.initializer_range = shape != "8b", 0.02
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        with choose_device(options.device):
            model = LlamaForCausalLM(config)
        torch.set_default_dtype(before)
        model.save_pretrained(folder)
    return folder


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float | None:
    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if device.type == "cuda" else None


if __name__ == "__main__":
    main()
