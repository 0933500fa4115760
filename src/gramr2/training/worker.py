"""One of the processes of a training: ``accelerate launch --config_file F -m gramr2.training.worker JOB``.

The first process tells the launching one, line by line on its standard output, how far it is and why it failed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from gramr2.errors import GramrError
from gramr2.training.job import Job
from gramr2.training.launch import SAYS

FAILED = 3
"""exit code of a failure that was told"""


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Pass a message on."""
        tell(log=record.getMessage(), level=record.levelno)


def tell(**what: Any) -> None:
    """Write a line for the launching process; fails if that has ended, which ends this one."""
    sys.stdout.write(f"{SAYS}{json.dumps(what)}\n")
    sys.stdout.flush()


def main(folder: Path) -> int:
    """Do the job in a folder, as one of the processes that were launched together."""
    main_process = os.environ.get("RANK", "0") == "0"
    logger = logging.getLogger("gramr2")
    logger.propagate = False
    if main_process:
        logger.setLevel(logging.INFO)
        logger.addHandler(_Told())
    try:
        Job.read(folder).run(lambda done, total, loss: tell(step=[done, total, loss]))
    except GramrError as error:
        if main_process:
            tell(failure=type(error).__name__, reason=str(error))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
