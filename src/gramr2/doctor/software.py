"""Python, the packages that gramr2 depends on, and its optional parts, against the ranges that the tests ran with."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gramr2.doctor.finding import Finding, note, ok, problem
from gramr2.errors import DISTRIBUTIONS, installed

FOR_CONTRIBUTORS = "dev"


def python() -> Iterator[Finding]:
    """The interpreter."""
    here, found = platform.python_version(), installed()
    wanted = SpecifierSet((found.metadata["Requires-Python"] if found else None) or ">=3.11")
    if not wanted.contains(here, prereleases=True):
        yield problem("Python", f"{here}, and gramr2 needs {wanted}", "make a virtual environment with a newer Python")
    elif sys.prefix == sys.base_prefix:
        yield note(
            "Python",
            f"{here}, outside a virtual environment",
            "other programs may change its packages: use python -m venv",
        )
    else:
        yield ok("Python", f"{here}, {sys.executable}")


def packages() -> Iterator[Finding]:
    """gramr2 and what it depends on."""
    found = installed()
    if found is None:
        yield note(
            "gramr2", "a checkout on the path, so the ranges of its dependencies are not known", "pip install -e ."
        )
        return
    yield ok("gramr2", f"{found.version} ({found.metadata['Name']})")
    if all(_version(name) for name in DISTRIBUTIONS):
        yield problem(
            "gramr2",
            f"{' and '.join(DISTRIBUTIONS)} are both installed, and share their files",
            "pip uninstall gramr2-light, then pip install --force-reinstall --no-deps gramr2",
        )
    missing, wrong, right = [], [], 0
    for each in _wanted(found, ""):
        here = _version(each.name)
        if here is None:
            missing.append(each)
        elif not each.specifier.contains(here, prereleases=True):
            wrong.append(f"{each.name} {here} ({each.specifier})")
        else:
            right += 1
    if missing or wrong:
        told = [f"not installed: {', '.join(each.name for each in missing)}"] if missing else []
        told += [f"outside the tested range: {', '.join(wrong)}"] if wrong else []
        yield problem("packages", "; ".join(told), f"pip install --upgrade {found.metadata['Name']}")
    else:
        yield ok("packages", f"{right} packages in the tested ranges")


def extras() -> Iterator[Finding]:
    """The optional parts: those that are there, those that are not, and those whose packages are of other versions."""
    found = installed()
    if found is None:
        return
    here, absent = [], []
    for name in sorted(found.metadata.get_all("Provides-Extra") or ()):
        wanted = _wanted(found, name)
        if name == FOR_CONTRIBUTORS or not wanted:
            continue
        versions = {each.name: _version(each.name) for each in wanted}
        odd = [
            f"{each.name} {versions[each.name]} ({each.specifier})"
            for each in wanted
            if (at := versions[each.name]) and not each.specifier.contains(at, prereleases=True)
        ]
        if odd:
            listed = " ".join(f"'{each.name}{each.specifier}'" for each in wanted)
            yield note(f"extra {name}", f"outside the tested range: {', '.join(odd)}", f"pip install {listed}")
        elif all(versions.values()):
            here.append(name)
        else:
            absent.append(name)
    told = f"installed: {', '.join(here) or 'none'}" + (f"; not installed: {', '.join(absent)}" if absent else "")
    how = f"pip install '{found.metadata['Name']}[{absent[0]}]' brings one" if absent else ""
    yield Finding("extras", ok("", "").state, told, how)


def _wanted(found: Distribution, extra: str) -> list[Requirement]:
    """The requirements of an extra, or those without one."""
    every = [Requirement(each) for each in found.requires or ()]
    own = [each for each in every if (each.marker is not None and "extra" in str(each.marker)) == bool(extra)]
    return [each for each in own if each.marker is None or each.marker.evaluate({"extra": extra})]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
