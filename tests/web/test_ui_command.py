"""``gramr2 ui`` and the page of ``gramr2 serve``, from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from gramr2.cli import ui
from gramr2.data import load_labeled

OWN = {"x-gramr2-page": "1"}
ROWS = [{"id": f"i{k}", "prompt": f"What is {k}?", "responses": ["x" * (k + 1), "x" * (2 * k + 2)]} for k in range(12)]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[TestClient], None]]:
    """What a visitor does while the server runs, in the place of a browser."""
    found: list[Callable[[TestClient], None]] = []

    def listen(app: Any, host: str, port: int, browser: bool) -> None:
        with TestClient(app, base_url=f"http://{host}:{port}", headers=OWN) as client:
            for visit in found:
                visit(client)

    monkeypatch.setattr(ui, "_listen", listen)
    return found


def answer_all(client: TestClient) -> None:
    state = client.get("/ui/label").json()
    while state["item"]:
        left, right = map(len, state["item"]["responses"])
        verdict = "A" if left > right else "B"
        state = client.post("/ui/label", json={"id": state["item"]["id"], "verdict": verdict}).json()


@pytest.mark.parametrize("how", ["alone", "model", "decisions", "baseline"])
def test_labels_become_a_seed_file(
    cli: Cli, write: Callable[..., str], visits: list[Callable[[TestClient], None]], tmp_path: Path, how: str
) -> None:
    data, out = write(*ROWS), tmp_path / "labels.jsonl"
    flags: list[object] = []
    if how == "model":
        flags = ["-m", "scripted:longer"]
    elif how == "baseline":
        flags = ["-m", "longer"]
    elif how == "decisions":
        assert cli("judge", "-m", "scripted:longer", "-d", data, "-o", tmp_path / "d.jsonl", "-q")[0] == 0
        flags = ["--decisions", tmp_path / "d.jsonl"]
    visits.append(answer_all)
    seen: list[Any] = []
    visits.append(lambda client: seen.append(client.get("/ui/about").json()["parts"]))
    code, _, told = cli("ui", data, "--label", out, "--annotator", "Ann", "--random", 1, *flags)
    assert (code, seen) == (0, [["label", "play"] if how == "model" else ["label"]])
    items, _ = load_labeled(str(out))
    assert {(item.comparison.id, item.label.value, item.annotator) for item in items} == {
        (f"{row['id']}/Ann", "B", "Ann") for row in ROWS
    }
    assert "12 labels, 0 skipped" in told
    assert ("on 12 of 12 random ones: 100.0 %" in told) == (how != "alone")
    visits.clear()
    code, _, told = cli("ui", data, "--label", out, "--annotator", "Ann", *flags)
    assert (code, "12 labels" in told) == (0, True), "the next start has them all"
    if how == "model":
        assert "answers are reused" in told


def test_labels_that_are_there_are_compared_with_and_not_shown(
    cli: Cli, write: Callable[..., str], visits: list[Callable[[TestClient], None]], tmp_path: Path
) -> None:
    data = write(*(row | {"label": "A" if k < 3 else "B"} for k, row in enumerate(ROWS)))
    visits.append(lambda client: json.dumps(client.get("/ui/label").json()).index('"item"'))
    visits.append(answer_all)
    code, _, told = cli("ui", data, "--label", tmp_path / "l.jsonl")
    assert (code, "already have on 9 of 12 random ones: 75.0 %" in told) == (0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing to show"),
        (("DATA",), "add --label OUT.jsonl"),
        (("DATA", "DATA", "--label", "l.jsonl"), "--label takes one source"),
        (("DATA", "--decisions", "d.jsonl"), "--decisions is for labelling"),
        (("-m", "scripted:longer", "--show-judge"), "--show-judge is for labelling"),
        (("-m", "scripted:longer", "--on-bad-row", "skip"), "--on-bad-row is for labelling"),
        (("-m", "scripted:longer", "--label-map", "left=A"), "--label-map is for labelling"),
        (("-m", "scripted:longer", "--annotator", "Ann"), "--annotator is for labelling"),
        (("DATA", "--label", "l.jsonl", "--max-new-tokens", "9"), "--max-new-tokens is for a judge"),
        (("DATA", "--label", "l.csv"), "ends in .jsonl"),
        (("DATA", "--label", "l.jsonl", "-m", "scripted:longer", "--decisions", "d"), "exclude each other"),
        (("none.jsonl", "--label", "l.jsonl"), "none.jsonl"),
        (("-m", "scripted:longer", "--host", "0.0.0.0"), "reachable by others"),
    ],
)
def test_refusals(
    cli: Cli, write: Callable[..., str], visits: object, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    places = {"DATA": write(*ROWS), "l.jsonl": str(tmp_path / "l.jsonl"), "l.csv": str(tmp_path / "l.csv")}
    code, _, errors = cli("ui", *(places.get(word, word) for word in words))
    assert code != 0
    assert told in errors
    assert not (tmp_path / "l.jsonl").exists()
    assert "Traceback" not in errors


@pytest.mark.slow
def test_killed_and_started_again(write: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    words = ["ui", write(*ROWS), "--label", str(out), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    @contextmanager
    def started(end: signal.Signals) -> Iterator[tuple[httpx.Client, list[str]]]:
        command = [sys.executable, "-m", "gramr2.cli.main", *words]
        told: list[str] = []
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr is not None
            address = next(line for line in process.stderr if "listening on" in line).split()[2].rstrip(",")
            with httpx.Client(base_url=address, headers=OWN) as client:
                yield client, told
            process.send_signal(end)
            told += process.stderr.readlines()
        told.append(f"exit {process.returncode}")

    with started(signal.SIGKILL) as (client, _):
        name = client.get("/ui/label").json()["item"]["id"]
        assert client.post("/ui/label", json={"id": name, "verdict": "tie"}).json()["labelled"] == 1
    assert [item.comparison.id for item in load_labeled(str(out))[0]] == [name]
    with started(signal.SIGINT) as (client, told):
        assert client.get("/ui/label").json()["labelled"] == 1
        assert client.get("/", headers={"host": "evil.example"}).status_code == 200, "its files are no secret"
        assert client.get("/ui/label", headers={"host": "evil.example"}).status_code == 421
    assert "1 label, 0 skipped" in "".join(told)
    assert told[-1] == "exit 0"


def test_serve_has_the_playground_at_its_root(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    from gramr2.serving import connections

    found: list[int] = []

    def run(self: Any, sockets: object = None) -> None:
        with TestClient(self.config.app, base_url="http://127.0.0.1", headers=OWN) as client:
            found.append(client.get("/").status_code)
            found.append(client.get("/static/play.js").status_code)
            assert client.get("/ui/about").json()["parts"] == ["play"]

    monkeypatch.setattr(connections.BoundedServer, "run", run)
    assert cli("serve", "-m", "scripted:longer", "--port", 0)[0] == 0
    assert found == [200, 200]
