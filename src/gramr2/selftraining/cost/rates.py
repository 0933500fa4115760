"""What a probe measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """What a probe measured; None where the run has no such work.

    Args:
        prefill: computed prompt tokens a second.
        decode: generated tokens a second.
        features: tokens a second whose hidden states are taken.
        training, warm_up: trained tokens a second.
        opening: seconds to load a model that judges.
        around: seconds of a training beside its steps: loading, checking and saving.
        around_warm_up: the same of the warm-up.
        record: bytes of a journal's record without generated text.
        memory: bytes of the process at most, on a CPU.
        seconds: that the probe took.
        machine: processor, cores, and GPU.
    """

    prefill: float
    training: float
    opening: float
    around: float
    record: float
    memory: int
    seconds: float
    machine: str
    decode: float | None = None
    features: float | None = None
    warm_up: float | None = None
    around_warm_up: float = 0.0
