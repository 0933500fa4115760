"""Every block of the tutorial, in its order, on the first rows of the same files and on the tiny model."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = ("labels.jsonl", "pairs.jsonl", "held-out.jsonl")
ROWS = 24


@pytest.mark.slow
def test_the_tutorial_works(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 9
    said = []
    for language, text in blocks:
        if language == "python":
            exec(compile(text, "tutorial.md", "exec"), {})
            continue
        lines = [line for line in text.splitlines() if line.strip()]
        shell = [line for line in lines if not line.startswith("gramr2 ")]
        if shell:
            copied(shell, tmp_path)
        for line in lines:
            if line.startswith("gramr2 "):
                said.append(called(cli, line))
    assert (tmp_path / "runs/first/report.html").is_file()
    assert (tmp_path / "runs/eval/judge/view.html").is_file()
    assert len((tmp_path / "decisions.jsonl").read_text().splitlines()) == ROWS
    assert re.search(r"points \(", "".join(said)), "compare says a difference with its interval"


def copied(lines: list[str], folder: Path) -> None:
    """Run the lines that are the shell's, and cut the files that they copy."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tools / "python3").chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", "\n".join(lines)], cwd=folder, env=environment, check=True)
    for name in FILES:
        file = folder / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:ROWS]))


def called(cli, line: str) -> str:
    """What a command says; with a smaller model, and fewer steps in the run file that it writes."""
    words = shlex.split(line.partition(" #")[0])[1:]
    if words[0] == "init":
        words += ["--model", "lab-tiny"]
    if "--limit" in words:
        words[words.index("--limit") + 1] = "3"
    code, text, err = cli(*words)
    assert code == 0, f"{line}\n{text}\n{err}"
    if words[0] == "init":
        run = Path("run.yaml")
        run.write_text(re.sub(r"min_steps: \d+", "min_steps: 2", re.sub(r"epochs: \d+", "epochs: 1", run.read_text())))
    return text
