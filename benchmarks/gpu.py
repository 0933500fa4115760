"""What needs a GPU, measured in one go: see ``benchmarks/gpu.sh``.

    python benchmarks/gpu.py --json FILE [--shapes 1b 8b] [--device auto] [--comparisons 64]
        [--parts tests decisions judging rows ways training beside-trl]

Needs no model but the one that ships with gramr2: those of 1 and 8 billion parameters have Llama's shapes (3.2 1B, 3.1 8B)
and random weights, so that speed and memory are real and verdicts are noise. Each part runs in a process of its own with a time
limit, and a part that fails says why in the result and stops no other.

- tests: those of the backends and of training, on this device
- decisions: of lab-tiny in the device's own precision and on the CPU in fp32: how many labels agree; and how many votes in fp32
  are the same with and without recorded steps
- judging: prompt tokens per second of direct verdicts, and tokens per second of eight votes of up to 64 tokens
- rows: the same votes with other numbers of samples side by side, on the first shape; eager: without recorded steps
- ways: ``benchmarks/judging.py`` on the first shape: beside ``generate`` and, if it is installed here, vLLM
- training: tokens per second and peak memory, all weights for up to two billion parameters, LoRA above
- beside-trl: ``benchmarks/training.py`` on the first shape, on a GPU with products in bf16
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import judging as ways_to_judge
import training as beside_trl
from gramr2.backends import random_model
from gramr2.backends.hardware import choose_device, versions
from gramr2.backends.recorded import Recording
from gramr2.backends.transformers import Batching, TransformersBackend
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.data import load_labeled
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.training.examples import training_examples
from gramr2.training.sft import fine_tune

SHAPES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    | {"num_key_value_heads": 2, "vocab_size": 8192},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
LIMITS = {
    "judging": 150,
    "rows": 120,
    "ways": 150,
    "training": 150,
    "beside-trl": 100,
    "decisions": 90,
    "tests": 240,
}
"""seconds of a part, for each shape"""
EVERY_SHAPE = ("judging", "training")
ROWS = (128, 256, 512, 1024)
FULL = 2e9
"""parameters up to which all weights are trained"""


def main() -> None:
    """Run the parts, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, dest="path")
    parser.add_argument("--shapes", nargs="*", default=None, help=", ".join(SHAPES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--comparisons", type=int, default=64, help="that are judged by votes")
    parser.add_argument("--parts", nargs="+", default=[*LIMITS], choices=[*LIMITS])
    options = parser.parse_args()
    options.shapes = options.shapes or ["1b", "8b"]
    begun = time.monotonic()
    found = apart("device", None, options)
    with tempfile.TemporaryDirectory() as scratch:
        options.folder = Path(scratch)
        for part in options.parts:
            for shape in options.shapes if part in EVERY_SHAPE else [options.shapes[0]]:
                name = f"{part} {shape}" if part in EVERY_SHAPE else part
                found[name] = apart(part, shape, options)
                found["seconds"] = round(time.monotonic() - begun, 1)
                options.path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(name, json.dumps(found[name])[:600], flush=True)


def apart(part: str, shape: str | None, options: argparse.Namespace) -> dict[str, Any]:
    """One part in a process of its own; a fork, since the imports take longer than some parts, and since the GPU must not be
    touched here for that."""
    forks = multiprocessing.get_context("fork")
    ours, its = forks.Pipe()
    process = forks.Process(target=_child, args=(part, shape, options, its))
    start = time.monotonic()
    process.start()
    its.close()
    limit = LIMITS.get(part, 60)
    try:
        result: dict[str, Any] = ours.recv() if ours.poll(limit) else {"failed": f"not done in {limit} s"}
    except EOFError:
        process.join()
        result = {"failed": f"its process ended with {process.exitcode}"}
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return result | {"seconds": round(time.monotonic() - start, 1)}


def _child(part: str, shape: str | None, options: argparse.Namespace, to: Connection) -> None:
    options.shape = shape
    os.setsid()  # so that what it starts ends with it
    try:
        to.send(PARTS[part](options))
    except (Exception, SystemExit):  # noqa: BLE001  # whatever goes wrong in a part is its result
        to.send({"failed": traceback.format_exc()[-1500:]})


def named(options: argparse.Namespace) -> dict[str, Any]:
    """The name of the device."""
    chosen = choose_device(options.device)
    return {
        "versions": versions(),
        "device": torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type,
    }


def tests(options: argparse.Namespace) -> dict[str, Any]:
    """The tests that use a real model; the device is the one that gramr2 chooses by itself."""
    if find_spec("pytest") is None:
        return {"skipped": "pytest is not installed here"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "tests/backends",
        "tests/training",
    ]
    plugins = [] if find_spec("pytest_timeout") else ["-o", "addopts=-q"]
    plugins += ["-n", "8"] if find_spec("xdist") else []
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
    exact = _judge("lab-tiny", device, "float32")
    recorded, computed = exact.judge(items[:40]), _unrecorded(exact).judge(items[:40])
    votes = [
        (one.rationale, one.outcome) == (two.rationale, two.outcome)
        for a, b in zip(recorded, computed, strict=True)
        for one, two in zip(a.judgments, b.judgments, strict=True)
    ]
    return {
        "n": len(items),
        "votes_same_recorded": sum(votes) / len(votes),
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
    judge.judge(items[:4])  # the first calls choose kernels
    _reset(backend.device)
    start = time.perf_counter()
    direct = judge.direct.judge(items)
    seconds = time.perf_counter() - start
    prompt = sum(vote.prompt_tokens for each in direct for vote in each.judgments)
    reasoning, written = _voted(judge, items[: options.comparisons])
    return {
        "parameters": sum(p.numel() for p in backend.model.parameters()),
        "direct_comparisons_per_s": len(items) / seconds,
        "direct_prompt_tokens_per_s": prompt / seconds,
        "voted_comparisons_per_s": len(items[: options.comparisons]) / reasoning,
        "voted_tokens_per_s": written / reasoning,
        "peak_gib": _peak(backend.device),
    }


def rows(options: argparse.Namespace) -> dict[str, Any]:
    """Votes of the same comparisons with other numbers of samples side by side, and what bounds a step."""
    judge = _judge(str(_shaped(options)), options.device, "auto")
    backend = judge.backend
    assert isinstance(backend, TransformersBackend)
    items = [item.comparison for item in load_labeled("starter:gold")[0][: options.comparisons]]
    layers = [each for each in backend.model.modules() if isinstance(each, torch.nn.Linear)]
    _voted(judge, items[:4])
    found = {}
    for name, count in [*((str(each), each) for each in ROWS), ("eager", backend.batching.rows)]:
        if name == "eager":
            _unrecorded(judge)
        backend.batching = Batching(count, backend.batching.prefill_tokens, backend.batching.cache_bytes)
        _reset(backend.device)
        with ways_to_judge.Tokens(backend.model) as tokens:
            seconds, written = _voted(judge, items)
        found[name] = {
            "rows": count,
            "tokens_per_s": written / seconds,
            "seconds": seconds,
            "computed_steps": tokens.steps,
            "products_ms": 1000 * sum(ways_to_judge.products(layer, count) for layer in layers),
            "peak_gib": _peak(backend.device),
        }
    return found


def training(options: argparse.Namespace) -> dict[str, Any]:
    """Twelve steps of eight comparisons in both orders."""
    folder = _shaped(options)
    size = SHAPES[options.shape]
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
        options.folder / f"trained-{options.shape}",
        training_examples(labeled, "both", 1, direct=True, reasoned=False),
        JudgeTemplate(JudgeMode.LABEL),
        TrainingConfig(method=method, epochs=2, min_steps=0, batch_size=8, micro_batch_size=8),  # type: ignore[arg-type]
        ModelConfig(name=str(folder), device=options.device),
        seed=1,
        on_step=lambda done, total, loss: steps.append(time.perf_counter()),
    )
    middle = statistics.median(after - before for before, after in pairwise(steps))
    return {"method": method, "steps": len(steps), "comparisons_per_s": 8 / middle, "peak_gib": _peak(device)}


def ways(options: argparse.Namespace) -> dict[str, Any]:
    """Beside ``generate``, and vLLM."""
    file = options.folder / "ways.json"
    arguments = [
        "--data",
        "starter:gold",
        "--model",
        str(_shaped(options)),
        "--comparisons",
        str(options.comparisons // 2),
    ]
    arguments += ["--only", "batched,fixed", "--json", str(file), "--device", options.device, "--dtype", "auto"]
    ways_to_judge.main([*arguments, *(["--python", sys.executable] if find_spec("vllm") else [])])
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def beside(options: argparse.Namespace) -> dict[str, Any]:
    """One training of each side, in a process of its own."""
    _shaped(options)
    found = {side: apart(side, options.shape, options) for side in beside_trl.SIDES}
    failed = {side: each for side, each in found.items() if "failed" in each}
    return failed or beside_trl.compared({side: [each] for side, each in found.items()})


def one_side(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """One training."""
    precision = "bfloat16" if choose_device(options.device).type == "cuda" else "float32"
    asked = {"data": "starter:labeled", "model": str(_shaped(options)), "steps": 12, "precision": precision}
    return dict(beside_trl.train(argparse.Namespace(**asked, side=side)))


PARTS = {
    "device": named,
    "tests": tests,
    "decisions": decisions,
    "judging": judging,
    "rows": rows,
    "ways": ways,
    "training": training,
    "beside-trl": beside,
    **{side: partial(one_side, side) for side in beside_trl.SIDES},
}


def _voted(judge: Judge, items: list[Any]) -> tuple[float, int]:
    """Seconds, and tokens written."""
    start = time.perf_counter()
    voted = judge.judge(items)
    seconds = time.perf_counter() - start
    return seconds, sum(vote.completion_tokens for each in voted for vote in each.judgments)


def _judge(model: str, device: str, dtype: str) -> Judge:
    backend = TransformersBackend(model, device=device, dtype=dtype)
    sampling = Sampling(votes=8, temperature=0.75, max_new_tokens=64, close_on_budget=True)
    return Judge(backend, JudgeTemplate(JudgeMode.REASON), sampling)


def _unrecorded(judge: Judge) -> Judge:
    assert isinstance(judge.backend, TransformersBackend)
    judge.backend._recording = Recording(None)
    return judge


def _shaped(options: argparse.Namespace) -> Path:
    """A folder with a random model of the shape, made once."""
    shape = options.shape
    folder: Path = options.folder / shape
    if not (folder / "config.json").exists():
        from transformers import LlamaConfig, LlamaForCausalLM

        random_model.build(folder)
        (folder / "model.safetensors").unlink()
        config = LlamaConfig.from_pretrained(folder)
        config.update({"num_key_value_heads": 8, "vocab_size": 128_256} | SHAPES[shape])
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
