"""Links between the documents lead somewhere, and the README's commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gramr2.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
    return made | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{target} is not there"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{target} has no heading {anchor}"


def test_the_commands_of_the_readme_and_their_flags_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^gramr2 +(\w+) *(.*)$", text, re.MULTILINE)
    assert {name for name, _ in lines} >= {
        "check",
        "train",
        "report",
        "judge",
        "eval",
        "rank",
        "score",
        "adapt",
        "serve",
    }
    for name, rest in lines:
        told = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        for flag in re.findall(r"--[\w-]+", rest.partition("#")[0]):
            assert flag in told, f"gramr2 {name} has no {flag}"
