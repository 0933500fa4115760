"""What mkdocs does beside its own: the README is the first page, and files that pages link to outside docs/ are on the site."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OUTSIDE = re.compile(r"\]\(\.\./((?:examples|benchmarks|src)/[^)#\s]+)")
OWN = re.compile(r"\]\(docs/([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README as index.md, and every linked file outside docs/."""
    text = OWN.sub(r"](\1)", (ROOT / "README.md").read_text(encoding="utf-8"))
    text = re.sub(r"\]\((examples|LICENSE|CONTRIBUTING\.md|CHANGELOG\.md)", r"](../\1", text)
    files.append(File.generated(config, "index.md", content=text))
    linked = {"LICENSE", "CONTRIBUTING.md", "CHANGELOG.md"}
    for page in (ROOT / "docs").glob("*.md"):
        linked |= set(OUTSIDE.findall(page.read_text(encoding="utf-8")))
    linked |= set(OUTSIDE.findall(text))
    for name in sorted(linked):
        if (ROOT / name).is_file():
            # As text, so that a browser shows it.
            files.append(File.generated(config, f"files/{name}.txt", content=(ROOT / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links outside docs/ point at the copies."""
    return re.sub(
        r"\]\(\.\./((?:examples|benchmarks|src)/[^)#\s]+|LICENSE|CONTRIBUTING\.md|CHANGELOG\.md)",
        r"](files/\1.txt",
        markdown,
    )
