"""Write constraints.txt: the versions of gramr2's dependencies, and of theirs, that the tests ran with.

    python tools/constraints.py [--check]

``--check`` changes nothing, and fails if the file does not fit pyproject.toml: a dependency without a version, or a version
outside its range. Which versions are newest is not looked at.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
UNTESTED = ("vllm", "trackio", "wandb")
"""extras that the tests do not install"""


def direct() -> list[Requirement]:
    """What pyproject.toml names, but for extras that the tests do not install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(each for name in extras if name not in UNTESTED for each in extras[name])]
    return [Requirement(each) for each in named]


def tested(wanted: Sequence[Requirement]) -> dict[str, str]:
    """The installed versions of these requirements and of everything that they need, by normalised name.

    Raises:
        SystemExit: a requirement of ours is not installed, or one of any package is installed in a version that does not fit.
    """
    found: dict[str, str] = {}
    left = [(each, True) for each in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while left:
        requirement, ours = left.pop()
        name, key = (
            canonicalize_name(requirement.name),
            (canonicalize_name(requirement.name), frozenset(requirement.extras)),
        )
        try:
            here = distribution(requirement.name)
        except PackageNotFoundError:
            if ours:
                sys.exit(
                    f"{requirement.name} is not installed: run make check, which installs everything, and try again"
                )
            continue
        if not requirement.specifier.contains(here.version, prereleases=True):
            sys.exit(
                f"{name} {here.version} is installed, and {requirement.specifier} is asked for: pip install --upgrade {name}"
            )
        if key in seen:
            continue
        seen.add(key)
        # A local part names a build (2.13.0+cpu), which another index does not have.
        found[name] = Version(here.version).public
        left += [(each, False) for each in _needs(here.requires or [], requirement.extras)]
    return found


def _needs(requires: Sequence[str], extras: set[str]) -> Iterator[Requirement]:
    for text in requires:
        each = Requirement(text)
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


def text_of(versions: dict[str, str]) -> str:
    """The file."""
    head = (
        "# Versions that the tests ran with, written by tools/constraints.py; Python "
        f"{'.'.join(platform.python_version_tuple()[:2])}, {platform.system()}.\n"
        "# pip install gramr2 -c constraints.txt\n"
    )
    return head + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))


def mistakes(text: str, wanted: Sequence[Requirement]) -> list[str]:
    """Why the file does not fit the requirements."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pins = [re.fullmatch(r"([a-z0-9-]+)==(\S+)", line) for line in lines]
    if odd := [line for line, pin in zip(lines, pins, strict=True) if pin is None]:
        return [f"not NAME==VERSION: {odd[0]}"]
    versions = {pin[1]: pin[2] for pin in pins if pin}
    found = [] if len(versions) == len(lines) else ["a name stands twice"]
    for each in wanted:
        version = versions.get(canonicalize_name(each.name))
        if version is None:
            found.append(f"{each.name} has no version")
        elif not each.specifier.contains(version, prereleases=True):
            found.append(f"{each.name} {version} is outside {each.specifier}")
    return found


def main(arguments: Sequence[str]) -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the file fits pyproject.toml")
    file, wanted = ROOT / "constraints.txt", direct()
    if not parser.parse_args(arguments).check:
        file.write_text(text_of(tested(wanted)), encoding="utf-8")
        return
    if found := mistakes(file.read_text(encoding="utf-8"), wanted):
        sys.exit(f"constraints.txt: {'; '.join(found)}: run  make constraints")


if __name__ == "__main__":
    main(sys.argv[1:])
