"""A speed measurement of the machine, made once and kept, so that a resumed run does what it did before."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import torch

from gramr2.backends.hardware import bf16_speedup, processor
from gramr2.backends.registry import cache_dir

log = logging.getLogger("gramr2")

FASTER = 1.5
"""bf16 products must be this much faster: casting weights and sums costs part of the gain"""


def prefers_bf16() -> bool:
    """Whether this CPU multiplies matrices clearly faster in bf16.

    The first result on a machine is kept in gramr2's cache, if that is writable.
    """
    file = cache_dir() / "bf16.json"
    machine = f"{processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    known = _known(file)
    if machine not in known:
        known[machine] = round(bf16_speedup(), 2)
        scratch = file.with_name(f"{file.name}.{os.getpid()}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
            scratch.replace(file)
        except OSError:
            log.debug("the result of the probe cannot be written to %s", file)
    log.info("bf16 products measured at %.2gx the speed of fp32 (%s)", known[machine], file)
    return known[machine] > FASTER


def _known(file: Path) -> dict[str, float]:
    """Machines and their speedups; empty if the file holds something else."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    entries = kept.items() if isinstance(kept, dict) else ()
    return {machine: speedup for machine, speedup in entries if isinstance(speedup, float)}
