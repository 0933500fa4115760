"""All looks in the order of ``gramr2 doctor``, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gramr2.doctor import machine, network, places, software
from gramr2.doctor.finding import Finding, problem
from gramr2.errors import reason_of

LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    software.python,
    software.packages,
    software.extras,
    machine.torch_build,
    machine.threads,
    machine.precision,
    machine.speed,
    machine.memory,
    places.disks,
    places.models,
    places.leftovers,
)


def examine(*, online: bool = True) -> Iterator[Finding]:
    """Every finding, as soon as it is known.

    Args:
        online: also ask the package index and the hub.
    """
    for look in (*LOOKS, *((network.network,) if online else ())):
        try:
            yield from look()
        except Exception as error:  # noqa: BLE001 - what is broken in an installation is what is asked for
            name = look.__name__.replace("_", " ")
            yield problem(
                name, f"cannot be looked at ({type(error).__name__}: {reason_of(error)})", "report it with this line"
            )
