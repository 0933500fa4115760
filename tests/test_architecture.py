"""The map in docs/architecture.md: its layers are those that the linter holds, and its paths exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_every_path_exists() -> None:
    paths = re.findall(r"`([\w/]+(?:\.py|/))`", DOC)
    assert len(paths) > 20
    places = [ROOT / "src/gramr2", ROOT / "src/gramr2/selftraining"]
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


def test_a_question_needs_two_files_at_most() -> None:
    rows = re.findall(r"^\| (.*\?) \| (.*) \|$", DOC, re.MULTILINE)
    assert len(rows) == 26
    assert all(1 <= len(re.findall(r"`[\w/]+(?:\.py|/)`", answer)) <= 2 for _, answer in rows)


def test_what_checks_a_resumed_run_is_on_the_map() -> None:
    (answer,) = re.findall(r"^\| Where is a resumed run checked\? \| (.*) \|$", DOC, re.MULTILINE)
    assert {"`run/inputs.py`", "`integrity.py`"} <= set(answer.split())


def test_the_layers_are_drawn_in_the_order_that_the_linter_holds() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    depth = {name: i for i, layer in enumerate(settings) for name in layer.split(" | ")}
    *drawn, lowest = [
        (line if " · errors" in line else line[:40]).split(" · ") for line in DOC.split("```")[1].strip().splitlines()
    ]
    depths = [[depth[name.strip()] for name in line] for line in drawn]
    assert all(len(set(line)) == 1 for line in depths), "what stands on one line does not import each other"
    assert depths == sorted(depths)
    assert {name.strip() for name in lowest if name.strip()} <= set(depth)


def test_extending_has_the_sections_that_are_linked() -> None:
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"extending\.md#([\w-]+)", DOC)) <= anchors
