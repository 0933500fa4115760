"""Workers that Ray places: one for each GPU, or with some threads of a processor.

They are actors and not a Ray Data pipeline: docs/ray.md says why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gramr2.backends.base import Backend
from gramr2.backends.spread import Host, SpreadBackend, WorkerLostError
from gramr2.comparison import Message
from gramr2.config.engine import EngineConfig
from gramr2.errors import ConfigError, GramrError, MissingDependencyError, ModelError, reason_of

log = logging.getLogger("gramr2")

PATIENCE = 30.0
"""seconds without news of any worker after which it is worth a word"""
ENDING = 30.0
"""seconds that a worker has to end"""
KNOCK = 10.0
"""seconds in which somebody has to listen at a cluster's address"""
OBJECTS = 1 << 28
"""bytes of shared memory for what is sent; Ray's own default is a third of the machine"""

_started_here = False
"""whether this process started Ray; like Ray's own connection, there is one of it in a process"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker needs of a machine."""

    gpus: int
    cpus: int

    @property
    def threads(self) -> int | None:
        """Threads of its processor; None leaves them to torch, as a GPU does the work."""
        return None if self.gpus else self.cpus


def on_ray(
    opened: Callable[[], Backend],
    count: Callable[[tuple[Message, ...], str], int],
    engine: EngineConfig,
    device: str = "auto",
) -> SpreadBackend:
    """A model in workers.

    Args:
        opened: opens the model in a worker; it is sent there, so it is a partial of something importable.
        count: see ``SpreadBackend``.
        engine: how many workers, and where.
        device: the model's; cpu keeps it off the GPUs.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: no cluster answers at the address, this machine has too few GPUs, or the device is one of several GPUs.
    """
    kind, _, number = device.partition(":")
    if number:
        raise ConfigError(f"device {device} names one GPU, but every worker has one of its own: take device: {kind}")
    join(engine)
    place, size = placed(engine, _resources(), kind)
    if _started_here and place.gpus * size > _resources().get("GPU", 0):
        raise ConfigError(
            f"workers: {size} need a GPU each, and this machine has {_resources().get('GPU', 0):g}: have fewer workers, or set "
            "device: cpu"
        )
    log.info("ray: %d workers, each with %s", size, f"{place.gpus} GPU" if place.gpus else f"{place.cpus} threads")
    return SpreadBackend(RayCrew(opened, place), size, count)


def join(engine: EngineConfig) -> None:
    """Connect this process to a cluster, or start Ray on this machine, unless it is connected already."""
    global _started_here
    ray = _ray()
    if ray.is_initialized():
        return
    address = engine.address or os.environ.get("RAY_ADDRESS")
    # Ray reports its use to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        try:
            _knock(address)
            ray.init(address=address, **quiet)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise ConfigError(
                f"engine: no Ray cluster answers at {address}: {reason_of(error)} (one that asks for a token needs "
                "RAY_AUTH_MODE=token here too)"
            ) from error
        return
    wanted = 0 if engine.workers == "auto" else engine.workers * (engine.threads or 1)
    more = {"num_cpus": wanted} if wanted > (os.cpu_count() or 1) else {}
    ray.init(address="local", include_dashboard=False, object_store_memory=OBJECTS, **more, **quiet)
    _started_here = True


def leave() -> None:
    """Stop Ray if ``join`` started it on this machine."""
    global _started_here
    if _started_here:
        _started_here = False
        _ray().shutdown()


class RayCrew:
    """See ``gramr2.backends.spread.Crew``."""

    def __init__(self, opened: Callable[[], Backend], place: Place) -> None:
        self._ray = _ray()
        self._opened = opened
        self._place = place
        # Ray does not restart a worker that dies: its work would wait with it for a place, while other workers are free.
        self._actor = self._ray.remote(num_gpus=place.gpus, num_cpus=place.cpus, max_restarts=0)(RayHost)
        self._who: dict[Any, Any] = {}

    def start(self) -> Any:
        """An actor; Ray waits for a place for it."""
        worker = self._actor.remote(self._opened, self._place.threads)
        self._who[worker] = worker.process.remote()
        return worker

    def send(self, worker: Any, method: str, *given: Any) -> Any:
        """A reference to what the call will return."""
        return getattr(worker, method).remote(*given)

    def finished(self, tickets: Sequence[Any]) -> Sequence[Any]:
        """As many as have finished by the time that the first has."""
        try:
            ready, rest = self._ray.wait(list(tickets), num_returns=1, timeout=PATIENCE)
            more = self._ray.wait(rest, num_returns=len(rest), timeout=0)[0] if ready and rest else []
        except ConnectionError as error:
            raise ModelError(f"the Ray cluster is gone ({reason_of(error)}): the same command resumes") from error
        return [*ready, *more]

    def result(self, ticket: Any) -> Any:
        """What a host returned or raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(ticket)
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, GramrError) else error) from None
        except (errors.RayActorError, errors.OutOfMemoryError, errors.ObjectLostError) as error:
            raise WorkerLostError(_last_line(error)) from error

    def stop(self, workers: Sequence[Any]) -> None:
        """Kill the actors, and wait for the processes on this machine: only when they are gone is a GPU's memory free."""
        asked = [self._who[worker] for worker in workers]
        self._who.clear()
        with contextlib.suppress(ConnectionError):  # with the cluster, its workers are gone
            known = self._ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else []
            for worker in workers:
                self._ray.kill(worker)
            here, until = self._ray.get_runtime_context().get_node_id(), time.monotonic() + ENDING
            for ticket in known:
                with contextlib.suppress(WorkerLostError):
                    node, process = self.result(ticket)
                    while node == here and _runs(process) and time.monotonic() < until:
                        time.sleep(0.02)


class RayHost(Host):
    """A ``Host`` in an actor."""

    def __init__(self, opened: Callable[[], Backend], threads: int | None) -> None:
        import torch

        from gramr2.backends.hardware import versions_of

        if threads is not None:
            torch.set_num_threads(threads)
        super().__init__(opened, lambda: versions_of("gramr2", "torch", "transformers"), platform.node())

    def process(self) -> tuple[str, int]:
        """The machine, as Ray names it, and the number of this process on it."""
        return _ray().get_runtime_context().get_node_id(), os.getpid()


def placed(engine: EngineConfig, cluster: dict[str, float], device: str) -> tuple[Place, int]:
    """What each worker needs, and how many there are."""
    gpus = 0 if device not in ("auto", "cuda") else int(cluster.get("GPU", 0))
    machines = sum(name.startswith("node:") and not name.startswith("node:__") for name in cluster)
    size = (gpus or machines or 1) if engine.workers == "auto" else engine.workers
    if gpus or device == "cuda":
        return Place(1, 1), size
    return Place(0, engine.threads or max(1, int(cluster.get("CPU", 1)) // size)), size


def _resources() -> dict[str, float]:
    found: dict[str, float] = _ray().cluster_resources()
    return found


def _knock(address: str) -> None:
    """Raise an ``OSError`` or a ``ValueError`` where nobody listens: Ray itself would try for a quarter of an hour."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


def _last_line(error: Exception) -> str:
    """Where Ray says why."""
    return str(error).strip().splitlines()[-1].strip()[:200]


def _runs(process: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingDependencyError("ray", "ray", "engine: ray") from error
    return ray
