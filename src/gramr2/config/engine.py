"""Where models run: in this process, or in workers that Ray places on the GPUs and machines of a cluster."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from gramr2.config.section import Section


class EngineConfig(Section):
    """Where the judge runs. Training stays in this process. A plain string in YAML is the ``kind``.

    It changes the time that a run takes and none of its results, so a run may be resumed with another engine.
    """

    kind: Literal["local", "ray"] = "local"
    """local: in this process · ray: in workers, each with the model, that Ray places on this machine or in a cluster"""
    workers: Literal["auto"] | PositiveInt = "auto"
    """with ray, how many; auto is one for each GPU or, where there is none, for each machine"""
    threads: int | None = Field(default=None, gt=0)
    """with ray and without a GPU, processor threads of a worker; the default divides the processors among the workers. As in this
    process, the last digits of a probability depend on it"""
    address: str | None = None
    """with ray, the cluster to join: HOST:PORT, or auto for one that runs on this machine; the default is ``RAY_ADDRESS``, else
    Ray is started here, for the time of the run"""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_workers(self) -> EngineConfig:
        given = {"workers": self.workers != "auto", "threads": self.threads, "address": self.address}
        vain = [name for name, value in given.items() if value]
        if self.kind == "local" and vain:
            raise ValueError(f"kind: local has no workers: set kind: ray, or remove {vain[0]}")
        return self
