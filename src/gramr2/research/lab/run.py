"""Where the lab's run file is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def run_file() -> Path:
    """The run file of ``gramr2 lab train``."""
    return Path(str(files("gramr2.research.lab").joinpath("run.yaml")))
