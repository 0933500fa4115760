"""Links between the documents lead somewhere, and the README's commands exist."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import gramr2
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


FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[;(] *|do )(?:\$ )?(?:\w+=\S+ )*gramr2 +([a-z]\w*)([^\n]*)", re.MULTILINE)
GROUPS = ("lab", "models")
TRAINERS = ("verifiers",)
"""packages that the tests do without"""


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks in these languages."""
    return [text for language, text in FENCED.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands(page: Path) -> list[tuple[list[str], str]]:
    """The words of each call of gramr2 in a page's blocks up to its flags, and the rest; a line that ends in a backslash goes on."""
    text = "\n".join(blocks(page, "", "bash", "sh")).replace("\\\n", " ")
    found = []
    for name, rest in COMMAND.findall(text):
        words = [name]
        if name in GROUPS and (word := re.match(r" +([a-z][\w-]*)", rest)):
            words.append(word[1])
        found.append((words, rest.partition(" #")[0]))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_flags_exist(page: Path) -> None:
    for words, rest in commands(page):
        done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
        assert done.exit_code == 0, f"there is no gramr2 {' '.join(words)}"
        for flag in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", re.sub(r"'[^']*'|\"[^\"]*\"", "", rest)):
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", done.stdout), f"gramr2 {' '.join(words)} has no {flag}"


def test_the_readme_shows_the_main_commands() -> None:
    named = {words[0] for words, _ in commands(ROOT / "README.md")}
    assert named >= {"check", "train", "report", "judge", "eval", "rank", "score", "adapt", "serve"}


def names_in(file: Path) -> SimpleNamespace:
    """What a module defines, for one that cannot be imported here."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return SimpleNamespace(**{node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_python_imports_is_there(page: Path) -> None:
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gramr2"):
                try:
                    module: object = importlib.import_module(node.module)
                except ModuleNotFoundError as missing:
                    assert missing.name in TRAINERS, f"{node.module} needs {missing.name}"
                    module = names_in(Path(gramr2.__path__[0], *node.module.split(".")[1:]).with_suffix(".py"))
                for each in node.names:
                    assert hasattr(module, each.name), f"{node.module} has no {each.name}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gramr2":
                assert node.attr in dir(gramr2), f"gramr2 has no {node.attr}"


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Two commands" in page
    # A page must work without a network.
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?://[^"]*\.(?:js|css|woff2?|png|svg)"', page)
