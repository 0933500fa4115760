"""What benchmarks made of an ablation's cells have in common."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from gramr2.ablation.runner import free_memory, jobs_that_fit
from gramr2.backends.registry import resolve, weights_in_fp32
from gramr2.config import RunConfig
from gramr2.errors import GramrError


def exit_code(run: Callable[[], int]) -> int:
    """What ``run`` returns; a deliberate error is printed as its sentence."""
    # A terminated benchmark takes its cells with it, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run()
    except GramrError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def jobs_for(config: RunConfig, asked: int | None) -> int:
    """Cells at once: as asked, or what cores and memory allow."""
    weights = weights_in_fp32(resolve(config.model.name, revision=config.model.revision))
    return asked or jobs_that_fit(weights, os.cpu_count() or 1, free_memory())
