"""Strategies by name: a filter, a tournament, a probe … is a file in the folder of its kind, and is found there.

The lower layers know a kind only by the name of its folder, so that a run file can name a filter although filters import more
than run files do. Your own package adds to a kind with an entry point of the group ``gramr2.KIND`` that names its module.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Annotated, Any, TypeVar, Union

from pydantic import Field

from gramr2.errors import ConfigError

T = TypeVar("T")

FOLDERS = {
    "attacks": "gramr2.evaluation.attacks",
    "baselines": "gramr2.baselines",
    "benchmarks": "gramr2.evaluation.benchmarks",
    "filters": "gramr2.selftraining.filters",
    "formats": "gramr2.data.formats",
    "probes": "gramr2.evaluation.probes",
    "prompts": "gramr2.judging.prompts",
    "tournaments": "gramr2.rewards.tournaments",
}
"""the packages with the built-in ones of each kind"""


@cache
def modules(kind: str) -> tuple[ModuleType, ...]:
    """Every module that may define one of a kind: the built-in ones first, each part sorted by name."""
    folder = importlib.import_module(FOLDERS[kind])
    names = [f"{folder.__name__}.{each.name}" for each in pkgutil.iter_modules(folder.__path__)]
    others = sorted(entry_points(group=f"gramr2.{kind}"), key=lambda each: each.name)
    return (*(importlib.import_module(name) for name in sorted(names)), *map(_plugin, others))


def _plugin(point: EntryPoint) -> ModuleType:
    """The module of somebody else's entry point.

    Raises:
        ConfigError: it cannot be imported, or imports gramr2's run config, which is built from it.
    """
    try:
        module: ModuleType = point.load()
    except Exception as error:  # anything may go wrong in somebody else's module, and its name is what helps
        raise ConfigError(f"the plugin {point.value} ({point.group}) cannot be imported: {error}") from error
    if getattr(getattr(module, "__spec__", None), "_initializing", False):
        raise ConfigError(
            f"the plugin {point.value} ({point.group}) imports gramr2's run config, which needs the plugin first: import "
            "RunConfig and RunContext under TYPE_CHECKING"
        )
    return module


@cache
def plugins(kind: str) -> Mapping[str, EntryPoint]:
    """The entry points that packages, gramr2 included, have registered for a kind, by name: ``sources`` or ``auditors``."""
    return {each.name: each for each in entry_points(group=f"gramr2.{kind}")}


def subclasses(kind: str, base: type[Any]) -> list[type[Any]]:
    """The classes of a kind: those that derive from ``base`` and are defined in one of its modules."""
    return [
        value
        for module in modules(kind)
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == module.__name__
    ]


def instances(kind: str, base: type[T]) -> list[T]:
    """The objects of a kind: the constants of class ``base`` (names in capitals) in its modules."""
    return [
        value
        for module in modules(kind)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, base)
    ]


def baseline_names() -> list[str]:
    """The baselines that a run file can name, the cheapest first."""
    return list(importlib.import_module(FOLDERS["baselines"]).BASELINES)


def filter_configs() -> list[Any]:
    """The classes of the filters; those that only look at decisions come first."""
    base = importlib.import_module(f"{FOLDERS['filters']}.base").FilterConfig
    return sorted(subclasses("filters", base), key=lambda each: each.stage)


def filters() -> dict[str, Any]:
    """The classes of the filters that a run file can name, by kind."""
    return {each.model_fields["kind"].default: each for each in filter_configs()}


def tagged_union(members: list[type[Any]]) -> Any:
    """The pydantic type of a value that is one of the members, distinguished by ``kind``."""
    return Annotated[Union[tuple(members)], Field(discriminator="kind")]  # noqa: UP007
