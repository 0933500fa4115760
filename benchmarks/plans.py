"""How a benchmark made of an ablation's cells ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

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
