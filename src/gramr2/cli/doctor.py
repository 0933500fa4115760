"""``gramr2 doctor``: is this installation, and this machine, fit for a run?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from gramr2.cli.console import Json, say, say_json

STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the package index and the hub.")] = False,
    as_json: Json = False,
) -> None:
    """Look at Python, packages, torch, the machine, disks and the network, and say what to do; exit code 1 for a problem."""
    from gramr2.doctor.examine import examine

    found = []
    for each in examine(online=not offline):
        found.append(each)
        if not as_json:
            remedy = f"\n{'':9}→ {each.remedy}" if each.remedy else ""
            say(f"{each.state.value:<9}{each.part}: {each.told}{remedy}", style=STYLES[each.state.value])
    counts = Counter(each.state.value for each in found)
    if as_json:
        say_json({"counts": {state: counts[state] for state in STYLES}, "findings": [asdict(each) for each in found]})
    else:
        say(
            ", ".join(
                f"{counts[state]} {state if counts[state] == 1 or state == 'ok' else state + 's'}" for state in STYLES
            )
        )
    if counts["problem"]:
        raise typer.Exit(1)
