"""The examples for shells are valid, and what they take from gramr2 is there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "examples").glob("*.sh"))
SHIM = """#!/bin/sh
if [ "$1" = -c ]; then echo "$2"; else printf '%s\\n' "$@"; fi
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda each: each.name)
def test_a_script_calls_its_trainer_with_modules_that_exist(script: Path, tmp_path: Path) -> None:
    (tmp_path / "python").write_text(SHIM)
    (tmp_path / "python").chmod(0o755)
    needed = re.findall(r"\$\{(\w+):\?", script.read_text())
    given = dict.fromkeys((*needed, "GRAMR2_TOKEN"), "given")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", script, "more=1"], capture_output=True, text=True, env=given | path)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split("\n")
    assert words[0] == "-m" and words[-2] == "more=1"
    for module in re.findall(r"(?:import |find_spec\(')(gramr2[\w.]*)", done.stdout):
        assert importlib.util.find_spec(module), module
    bare = subprocess.run(["bash", script], capture_output=True, text=True, env=path)
    assert bare.returncode != 0, "it must say which variable is missing"
