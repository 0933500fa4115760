"""Ways to change a rationale, to see whether the verdict follows it: one file each, which defines the probe as a constant."""

from __future__ import annotations

from gramr2 import registry
from gramr2.evaluation.probes.base import Intervention

UNTOUCHED = "untouched"
"""the verdict on the rationale as it is, read in the same way as after a change"""


def interventions() -> dict[str, Intervention]:
    """Every intervention by its name, in the order of the tables."""
    found = registry.instances("probes", Intervention)
    return {each.name: each for each in sorted(found, key=lambda each: (each.place, each.name))}


def titles() -> dict[str, str]:
    """The names of probes in tables, the untouched rationale first."""
    return {UNTOUCHED: UNTOUCHED} | {name: each.title for name, each in interventions().items()}
