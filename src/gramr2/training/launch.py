"""A training in several processes: ``accelerate launch`` starts them, this process waits and passes on what the first one tells.

The run itself stays one process, which judges and decides; its trainings alone are shared, by data (DDP) or weights too (FSDP,
DeepSpeed), as the user's accelerate config says.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

from gramr2.errors import ConfigError, DataError, ModelError, RunError
from gramr2.training.job import Job
from gramr2.training.parts import StepCallback
from gramr2.training.sft import TrainingReport

log = logging.getLogger("gramr2")

SAYS = "gramr2: "
"""begins a line that a worker writes for this process"""
WORKER = "gramr2.training.worker"
PATIENCE = 30.0
"""seconds that the processes have to end when they are asked to"""
KNOWN = {each.__name__: each for each in (ConfigError, DataError, ModelError, RunError)}
LAST = 20
"""lines of the workers' errors that are kept to name the reason of a failure"""


def launch(job: Job, config: Path, on_step: StepCallback | None = None, *, worker: str = WORKER) -> TrainingReport:
    """Do a training in the processes that an accelerate config describes.

    The job waits in ``into``.job; the workers write the model as one process would, checkpoints included, so that the same call
    resumes.

    Args:
        worker: the module that every process runs.

    Raises:
        ConfigError, DataError, ModelError, RunError: a process failed, with its reason.
    """
    folder = job.into.with_name(f"{job.into.name}.job")
    job.write(folder)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    heard = _Heard(on_step)
    with _running([*command, "-m", worker, str(folder)]) as process:
        assert process.stdout is not None and process.stderr is not None
        errors: deque[str] = deque(maxlen=LAST)
        # Both pipes are read at once: a full one would stop the workers.
        reader = Thread(target=_keep, args=(process.stderr, errors), daemon=True)
        reader.start()
        for line in process.stdout:
            heard.line(line)
        code = process.wait()
        reader.join(PATIENCE)
    if heard.failure is not None:
        raise heard.failure
    if code or not (job.into / "config.json").is_file():
        told = next((line for line in reversed(errors) if "Error" in line), errors[-1] if errors else "no message")
        raise RunError(f"the processes of accelerate launch ({config}) ended with {code}: {told.strip()}")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return TrainingReport.read(job.into)


class _Heard:
    """What the first worker tells."""

    def __init__(self, on_step: StepCallback | None) -> None:
        self._on_step = on_step
        self.failure: Exception | None = None

    def line(self, line: str) -> None:
        if not line.startswith(SAYS):
            return
        told: dict[str, Any] = json.loads(line.removeprefix(SAYS))
        if "step" in told and self._on_step:
            self._on_step(*told["step"])
        elif "log" in told:
            log.log(told["level"], "%s", told["log"])
        elif "failure" in told:
            self.failure = KNOWN.get(told["failure"], RunError)(told["reason"])


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A group of processes that does not outlive the body; if this process is killed, a worker ends at its next line."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            # The launcher passes it on to its processes.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _keep(pipe: IO[str], lines: deque[str]) -> None:
    for line in pipe:
        if line.strip():
            lines.append(line)
