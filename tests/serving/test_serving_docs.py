"""What docs/serving.md shows runs as it is shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_server import running

from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted

PAGE = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
SHOWN = PAGE[PAGE.index("## Shapes of other servers") :]
ADDRESS = "http://127.0.0.1:8000"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", SHOWN, re.DOTALL | re.MULTILINE)
CURLS = [text for kind, text in BLOCKS if not kind and "curl" in text]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))) as url:
        yield url


def test_the_python_of_the_page(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for kind, text in BLOCKS if kind == "python"]
    exec(compile(program.replace(ADDRESS, address), "serving.md", "exec"), {})
    told = capsys.readouterr().out
    assert told.count("<answer>B</answer>") == 2, "whole and streamed"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("command", CURLS, ids=["rerank", "score", "classify", "cohort"])
def test_the_commands_of_the_page(address: str, command: str) -> None:
    found = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, address)], capture_output=True, text=True, timeout=60
    )
    answers, rest = [], found.stdout
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:]
    assert found.returncode == 0 and answers
    assert all("detail" not in each for each in answers), answers
    rewards = sorted(each["reward"] for each in answers if "reward" in each)
    assert rewards in ([], [0.25, 0.25, 1.0])


def test_every_path_is_in_the_table() -> None:
    from gramr2.serving.app import create_app
    from gramr2.serving.model import Model

    paths = create_app(Model(lambda: Judge(scripted("longer")))).openapi()["paths"]
    table = PAGE[: PAGE.index("Chat messages are read")]
    assert [path for path in paths if f"{path}`" not in table and "{" not in path] == []
