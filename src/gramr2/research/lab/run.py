"""Where the lab's own files are: its run file and its model."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def run_file() -> Path:
    """The run file of ``gramr2 lab train``."""
    return Path(str(files("gramr2.research.lab").joinpath("run.yaml")))
