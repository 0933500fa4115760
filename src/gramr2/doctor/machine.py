"""Torch and the machine: build, GPU, threads, precision, memory, and whether a matrix product is as fast as it should be."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gramr2.backends.memory import free_memory, total_memory
from gramr2.doctor.finding import Finding, note, ok, problem

DEVICES, CGROUP_CPU = Path("/dev"), Path("/sys/fs/cgroup/cpu.max")
SLOW, USUAL = 3.0, 15.0
"""GFLOP/s in fp32, of the whole machine and of a thread; a core of an AMD EPYC (Zen 3) reaches several times as much"""
NEEDED, COMFORTABLE = 1.5e9, 7e9
"""bytes: lab-tiny trains in the first, SmolLM2-135M takes some 6.5 GB (docs/scaling.md)"""
CUDA_INDEX = "https://pytorch.org/get-started/locally"


def torch_build() -> Iterator[Finding]:
    """The build of torch, and whether it sees the GPU that is there."""
    torch = _torch()
    if isinstance(torch, str):
        yield note(
            "torch",
            f"not usable ({torch}): only checking, data and a server's judge work",
            "pip install gramr2 for the whole",
        )
        return
    build = (
        (torch.version.cuda and f"CUDA {torch.version.cuda}")
        or (torch.version.hip and f"ROCm {torch.version.hip}")
        or "CPU"
    )
    told = f"{torch.__version__}, built for {build}"
    devices = sorted(each.name for each in DEVICES.glob("nvidia[0-9]*"))
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        yield ok(
            "torch",
            f"{told}; {torch.cuda.device_count()} GPU, {properties.name}, {properties.total_memory / 1e9:.0f} GB",
        )
    elif devices and not torch.version.cuda:
        yield problem(
            "torch",
            f"{told}, but this machine has an NVIDIA GPU ({devices[0]})",
            f"install a CUDA build: see {CUDA_INDEX}",
        )
    elif devices:
        yield problem(
            "torch",
            f"{told}, and does not see the GPU ({devices[0]})",
            "compare the driver (nvidia-smi) with the CUDA version",
        )
    elif torch.backends.mps.is_available():
        yield ok("torch", f"{told}; Apple's MPS")
    else:
        yield ok("torch", f"{told}; no GPU here")


def threads() -> Iterator[Finding]:
    """How many threads torch uses, of how many processors this process may use."""
    torch = _torch()
    if isinstance(torch, str):
        return
    cores, used = usable_cores(), torch.get_num_threads()
    told = f"{used} threads on {cores} usable processors"
    if used > cores:
        yield note("threads", told, f"more threads than processors slow each other: set OMP_NUM_THREADS={cores}")
    elif used < cores / 2 and os.environ.get("OMP_NUM_THREADS"):
        yield note(
            "threads", f"{told} (OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']})", "unset it for the whole machine"
        )
    else:
        yield ok("threads", told)


def usable_cores() -> int:
    """Processors that this process may use: those of its affinity, and no more than the container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU.read_text(encoding="utf-8").split()
        return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def precision() -> Iterator[Finding]:
    """Which number format a judge runs in."""
    torch = _torch()
    if isinstance(torch, str):
        return
    from gramr2.backends.hardware import gpu_has_bf16, has_tiles, processor

    if torch.cuda.is_available():
        told = "bf16" if gpu_has_bf16() else "fp16, the GPU has no bf16"
        yield ok("precision", told)
    elif has_tiles():
        yield ok("precision", f"bf16 in tiles (AMX) with dtype: fast, {processor()}")
    else:
        yield ok("precision", f"fp32, no AMX: {processor()}")


def speed() -> Iterator[Finding]:
    """A small matrix product on the CPU, for half a second."""
    torch = _torch()
    if isinstance(torch, str):
        return
    from gramr2.backends.hardware import product_speed

    reached, each = product_speed() / 1e9, torch.get_num_threads()
    told = f"a matrix product reaches {reached:.0f} GFLOP/s in fp32"
    if reached < SLOW:
        yield problem(
            "speed", told, "far too slow: is the machine overloaded or emulated, or torch built without BLAS?"
        )
    elif reached < USUAL * each:
        yield note("speed", told, "less than these threads should do: what else is running?")
    else:
        yield ok("speed", told)


def memory() -> Iterator[Finding]:
    """Memory that is free now."""
    free = free_memory()
    told = f"{free / 1e9:.1f} GB free of {total_memory() / 1e9:.1f} GB"
    if free < NEEDED:
        yield problem("memory", told, "too little for any training: close other programs")
    elif free < COMFORTABLE:
        yield note(
            "memory", told, "training SmolLM2-135M takes some 6.5 GB, with method: lora less; a step is cut to fit"
        )
    else:
        yield ok("memory", told)


def _torch() -> Any:
    """The module, or why it cannot be imported."""
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of another system, or of another CUDA
        return str(error).splitlines()[0]
    return torch
