"""A worker whose processes share weights on a CPU, as accelerate lets GPUs alone do: torch itself can, through gloo.

It writes a checkpoint after every step.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from accelerate import state
from torch.distributed.tensor import DTensor

from gramr2.training import checkpoints
from gramr2.training.trainer import JudgeTrainer
from gramr2.training.worker import main, tell

_begin, _whole = state.PartialState.__init__, JudgeTrainer.whole_weights


def _as_accelerators(self: Any, *given: Any, **named: Any) -> None:
    _begin(self, *given, **named)
    if self.distributed_type == state.DistributedType.MULTI_CPU:
        self.distributed_type = state.DistributedType.MULTI_HPU


def _told(self: JudgeTrainer) -> dict[str, Any] | None:
    """Which of the weights are whole when training has ended."""
    parts = [each for each in self.model.parameters() if isinstance(each, DTensor)]
    here = sum(each.to_local().numel() for each in parts)
    if self.args.process_index == 0:
        tell(log=f"holds {here} of {sum(each.numel() for each in self.model.parameters())} weights", level=20)
    return _whole(self)


checkpoints.SECONDS, checkpoints.SHARE = 0.0, math.inf
state.PartialState.__init__ = _as_accelerators  # type: ignore[method-assign]
JudgeTrainer.whole_weights = _told  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
