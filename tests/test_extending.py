"""Every example of docs/extending.md: its file is added to a copy of the package, nothing else is touched, and its code runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
FILE = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)
RUN = re.compile(r"<!-- run -->\n```python\n(.*?)```", re.DOTALL)
SECTIONS = {part.partition("\n")[0]: part for part in DOC.split("\n## ")[1:]}


@pytest.mark.parametrize("title", SECTIONS)
def test_an_example_works(title: str, tmp_path: Path) -> None:
    files, code = FILE.findall(SECTIONS[title]), RUN.findall(SECTIONS[title])
    assert code
    copy = tmp_path / "src" / "gramr2"
    shutil.copytree(ROOT / "src/gramr2", copy, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files:
        assert not (copy / name).exists()
        assert text.count("\n") <= 40, "an example is about twenty lines"
        (copy / name).write_text(text, encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_there_is_an_example_for_every_kind_that_has_a_folder() -> None:
    from gramr2.registry import FOLDERS

    folders = {package.removeprefix("gramr2.").replace(".", "/") for package in FOLDERS.values()}
    assert {name.rpartition("/")[0] for name, _ in FILE.findall(DOC)} == folders
