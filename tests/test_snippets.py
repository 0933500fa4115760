"""The Python of the README and of the pages that need a trained judge runs as it is written, on the tiny model.

The tutorial, docs/serving.md and docs/extending.md have their own tests.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gramr2
import test_docs
from conftest import labeled, make
from gramr2.comparison import Label
from gramr2.files import write_jsonl
from gramr2.judging.records import comparison_row, labeled_row
from test_docs import ROOT, TRAINERS, blocks

OWN = ("tutorial.md", "serving.md", "extending.md")
PAGES = {page.name: found for page in test_docs.PAGES if page.name not in OWN if (found := blocks(page, "python"))}
RUNS = ("my-run", "quickstart")
FEW = {"training": {"epochs": 1, "min_steps": 1, "batch_size": 4}, "judge": {"mode": "label"}}
PEOPLE = "gramr2 eval -m scripted:longer -b people.jsonl -o runs/people"
SMALLER = {
    "self_train(": "self_train(few, ",
    'model="smollm2-135m"': 'model="tiny-random"',
    'model="…"': 'model="{model}", args=arguments',
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs and files that the pages name."""
    folder = tmp_path_factory.mktemp("snippets")
    data = {name: {"path": f"starter:{name}", "limit": 4} for name in ("labeled", "gold")}
    settings = {"model": "tiny-random", "data": {"seed": data["labeled"], "gold": data["gold"]}, "rounds": 0} | FEW
    run = gramr2.self_train(settings, out=folder / "runs" / RUNS[0])
    assert run.rounds
    (folder / "runs" / RUNS[1]).symlink_to(RUNS[0])
    pair = {"prompt": "2 + 2?", "responses": ["4", "It is 5."], "label": "A", "category": "math"}
    write_jsonl(folder / "judgebench.jsonl", [{"id": str(number), **pair} for number in range(3)])
    for name in ("labels", "held-out"):
        rows = [labeled_row(labeled(f"{name}{number}", Label.A)) for number in range(2)]
        write_jsonl(folder / f"{name}.jsonl", rows)
    write_jsonl(folder / "pairs.jsonl", [comparison_row(make("p"))])
    return folder


def given(page: str, tiny_model: Path) -> dict[str, Any]:
    """The names that a page's code takes from its reader."""
    if page == "README.md":
        return {"few": FEW | {"rounds": 1}, "prompt": "?", "a": "1", "b": "2"}
    if page == "trainers.md":
        from datasets import Dataset
        from trl import GRPOConfig

        arguments = GRPOConfig(use_cpu=True, bf16=False, report_to=[])
        return {"prompts": Dataset.from_list([{"prompt": "Why?"}] * 8), "arguments": arguments}
    return {}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(
    page: str, place: Path, tiny_model: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    texts = PAGES[page]
    if page == "evaluating.md":
        # The page shows how to read an evaluation before the example that makes one.
        making = next(text for text in texts if "people.jsonl" in text)
        exec(compile(making, page, "exec"), {})
        assert PEOPLE in (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert cli(*shlex.split(PEOPLE)[1:])[0] == 0
    names = given(page, tiny_model)
    for text in texts:
        for there, here in SMALLER.items():
            text = text.replace(there, here.replace("{model}", str(tiny_model)))
        try:
            exec(compile(text, page, "exec"), names)
        except ModuleNotFoundError as missing:
            assert missing.name in TRAINERS, text
