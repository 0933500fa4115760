"""Where a model runs and in which precision; each automatic choice is logged with its reason."""

from __future__ import annotations

import ctypes
import functools
import gc
import logging
import sys
import time
from collections.abc import Callable

import torch

from gramr2.backends.versions import processor, versions, versions_of
from gramr2.errors import ConfigError

__all__ = [
    "DTYPES",
    "bf16_speedup",
    "choose_device",
    "choose_dtype",
    "has_tiles",
    "keep_freed_memory",
    "processor",
    "product_speed",
    "release_freed_memory",
    "versions",
    "versions_of",
]
log = logging.getLogger("gramr2")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@functools.cache
def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU. With CUDA, cuDNN's attention is off for the process from then on."""
    if name != "auto":
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise ConfigError(f"device {name!r} is not one torch knows: use auto, cpu, cuda, cuda:N or mps") from error
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"device {name!r} was asked for but torch sees no GPU: use device: cpu or auto")
        return _cuda(name) if device.type == "cuda" else device
    if torch.cuda.is_available():
        return _cuda("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    log.info("device: cpu, %d threads (torch sees no GPU; the threads are torch's default)", torch.get_num_threads())
    return torch.device("cpu")


def _cuda(name: str) -> torch.device:
    """A GPU, with cuDNN's attention switched off: it plans anew for every length, and each token that is written, and most
    batches that are trained on, have a length of their own."""
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device(name)


@functools.cache
def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bf16 on a GPU that has it and fp32 elsewhere; ``fast`` is bf16 on a CPU that multiplies it in tiles (AMX) too.

    On an AMD EPYC (Zen 3), which has no AMX, bf16 judges at half the speed of fp32 or less (docs/experiments.md).

    On a CPU the probe never decides: bf16 keeps three digits of a logit, so that batching would change votes, and a noisy
    probe would let a resumed run continue in another precision. The speed-up is only measured and logged.
    """
    if name == "fast" and device.type == "cpu":
        found = torch.bfloat16 if has_tiles() else torch.float32
        log.info(
            "dtype: %s (this processor has %sAMX)", str(found).removeprefix("torch."), "" if has_tiles() else "no "
        )
        return found
    if name not in ("auto", "fast"):
        return DTYPES[name]
    if device.type == "cuda":
        dtype = torch.bfloat16 if gpu_has_bf16() else torch.float16
        log.info("dtype: %s (supported by the GPU)", str(dtype).removeprefix("torch."))
        return dtype
    if device.type == "cpu":
        ratio = bf16_speedup()
        advice = "set model.dtype: bfloat16 to use it; votes may then depend on the batch" if ratio > 1.3 else "no gain"
        log.info("dtype: float32 (results do not depend on the batch; bf16 measured at %.2gx here: %s)", ratio, advice)
    return torch.float32


def gpu_has_bf16() -> bool:
    """Whether the GPU computes in bf16 itself; torch calls it supported where it is emulated too, as before Ampere."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def has_tiles() -> bool:
    """Whether this processor multiplies bf16 matrices in tiles (AMX), which is faster than fp32."""
    asked = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(asked and asked())


def bf16_speedup(size: int = 512, repeats: int = 6) -> float:
    """Time of an fp32 matrix product divided by that of a bf16 one on this CPU (best of ``repeats``)."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
        best = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
        seconds[dtype] = best
    return seconds[torch.float32] / seconds[torch.bfloat16]


def product_speed(size: int = 768, seconds: float = 0.5) -> float:
    """Operations a second of an fp32 matrix product on this CPU, the best of those that fit into ``seconds``."""
    a = torch.ones(size, size)
    # The first product also allocates.
    _ = a @ a
    begun, best = time.perf_counter(), float("inf")
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        _ = a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the kernel after every operation.

    A logit matrix is over 100 MB, and the pages of each temporary of that size would be mapped and zeroed again.
    ``release_freed_memory`` returns the memory when a stage is over or the machine runs low.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        # The constants of malloc.h: never trim the heap, grow it by 256 MiB, never use mmap for a single block.
        for option, value in ((-1, -1), (-2, 1 << 28), (-4, 0)):
            mallopt(option, value)


def release_freed_memory() -> None:
    """Return what ``keep_freed_memory`` holds: a training run leaves gigabytes that judging does not need."""
    gc.collect()
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL("libc.so.6"), name)
    except (OSError, AttributeError):
        return None
    return function
