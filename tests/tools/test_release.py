"""Version and changelog say the same, and the checks stand in one place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_top_section_of_the_changelog_is_the_version_to_come_or_just_released() -> None:
    heads = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    parsed = [re.fullmatch(r"(\d+\.\d+\.\d+) \((unreleased|\d{4}-\d\d-\d\d)\)", head) for head in heads]
    assert None not in parsed, "a section is called VERSION (unreleased) or VERSION (YYYY-MM-DD)"
    versions = [Version(each[1]) for each in parsed if each]
    assert str(versions[0]) == VERSION
    assert versions == sorted(set(versions), reverse=True)
    assert all(each[2] != "unreleased" for each in parsed[1:] if each), "only the newest can be unreleased"


def test_a_change_is_a_sentence() -> None:
    items = re.split(r"^- ", CHANGELOG, flags=re.MULTILINE)[1:]
    wrong = [item.strip()[-60:] for item in items if not re.search(r"[.:)`»]$", item.partition("\n## ")[0].strip())]
    assert wrong == []


def test_continuous_integration_only_calls_make() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"^\s+- run: (.*)$", workflow, re.MULTILINE) == ["make test", "make test-web"]
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"test", "test-web", "check", "dist", "constraints", "docs"} <= targets
