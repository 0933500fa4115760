"""An empty answer is a bad answer and not a bad file; a bad row can be skipped in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

ROWS = [
    {"id": "e1", "chosen": "\n\nHuman: Name a river.\n\nAssistant: The Danube.", "rejected": "\n\nHuman: Name a river.\n\nAssistant:"},
    {"id": "e2", "chosen": "\n\nHuman: Name a lake.\n\nAssistant: Lake Garda.", "rejected": "\n\nHuman: Name a lake.\n\nAssistant: No."},
]  # fmt: skip


def test_an_empty_answer_is_judged(cli: Callable[..., tuple[int, str, str]], write: Callable[..., str]) -> None:
    code, out, _ = cli("eval", "--model", "scripted:longer", "--benchmark", write(*ROWS), "--json")
    assert (code, json.loads(out)["n"], json.loads(out)["accuracy"]) == (0, 2, 1.0)


def test_and_ranked_and_scored(
    cli: Callable[..., tuple[int, str, str]], write: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    many = write({"id": "r", "prompt": "Name a river.", "responses": ["The Danube.", "", "Rhine"]})
    assert cli("rank", "--model", "scripted:longer", "--data", many, "--out", str(out), "--quiet")[0] == 0
    assert json.loads(out.read_text())["best"] == 0
    one = write({"id": "x", "prompt": "Name a river.", "response": "", "reference": "The Danube."})
    assert cli("score", "--model", "scripted:longer", "--data", one, "--out", str(out), "--quiet")[0] == 0
    assert json.loads(out.read_text())["score"] == 0


def test_no_answer_at_all_is_a_bad_row_that_eval_can_skip(
    cli: Callable[..., tuple[int, str, str]], write: Callable[..., str]
) -> None:
    file = write(*ROWS, {"prompt": "p", "responses": ["a", None], "label": "A"})
    code, _, err = cli("eval", "--model", "scripted:longer", "--benchmark", file)
    assert code == 2
    assert "in.jsonl:3: responses[1]" in err
    words = ("eval", "--model", "scripted:longer", "--benchmark", file, "--on-bad-row", "skip", "--json")
    code, out, _ = cli(*words)
    assert (code, json.loads(out)["n"], len(json.loads(out)["skipped"])) == (0, 2, 1)
