"""The run file: its sections, and reading it. Nothing here imports torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gramr2.config.load import dump_config, load_config, parse_config
    from gramr2.config.run import RunConfig

__all__ = ["RunConfig", "dump_config", "load_config", "parse_config"]


def __getattr__(name: str) -> Any:
    # Imported on demand: a run names strategies, whose modules in turn import the sections in this folder.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"gramr2.config.{'run' if name == 'RunConfig' else 'load'}"), name)
