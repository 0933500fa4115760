"""The run browser's answers for whole scripted runs: finished, under way, damaged."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gramr2.cli import ui
from gramr2.comparison import Order
from gramr2.config import parse_config
from gramr2.errors import ConfigError, DataError
from gramr2.reporting.run import read_run
from gramr2.selftraining.loop import SelfTraining
from gramr2.testing import ScriptedEngine
from gramr2.web.app import ui_app
from gramr2.web.labelling.opening import of_run, session_of
from gramr2.web.labelling.store import LabelStore
from gramr2.web.runs.shelf import Shelf, runs_in

CONFIG = {
    "model": "none",
    "data": {
        "seed": {"path": "starter:labeled", "limit": 6},
        "pool": {"path": "starter:unlabeled", "limit": 70},
        "gold": {"path": "starter:gold", "limit": 10},
    },
    "judge": {"verdict": "reasoned", "pool": {"votes": 2}},
    "filters": [{"kind": "confidence", "threshold": 0.7}, {"kind": "consistency"}, {"kind": "balance"}],
    "rounds": 1,
    "final": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf") / "mine"
    SelfTraining(parse_config(CONFIG), folder, engine=ScriptedEngine()).run()
    return folder


def served(*runs: Path) -> TestClient:
    return TestClient(ui_app(shelf=Shelf(runs)))


@pytest.fixture
def client(run: Path) -> Iterator[TestClient]:
    with served(run) as each:
        yield each


def test_the_list_and_a_run(client: TestClient) -> None:
    (line,) = client.get("/ui/runs").json()
    assert (line["name"], line["model"], line["finished"], line["rounds"]) == ("mine", "none", True, 1)
    assert 0 <= line["last"]["low"] <= line["last"]["accuracy"] <= line["last"]["high"] <= 1
    found = client.get("/ui/runs/0").json()
    assert [each["title"] for each in found["rounds"]] == ["seed judge", "round 1", "final stage"]
    flow = found["rounds"][1]["flow"]
    assert (flow[0]["name"], flow[0]["left"]) == ("judged", 70)
    for before, after in pairwise(flow):
        assert before["left"] - after["taken"] == after["left"]


def test_comparisons_are_searched_and_filtered(client: TestClient, run: Path) -> None:
    view = read_run(run)
    (round_,) = (each for each in view.rounds if each.number == 1)
    path = "/ui/runs/0/rounds/1"
    everything = client.get(path).json()
    assert (everything["count"], everything["of"], len(everything["rows"])) == (70, 70, 50)
    rest = client.get(path, params={"start": 50}).json()["rows"]
    names = [each["id"] for each in everything["rows"] + rest]
    assert len(set(names)) == 70
    assert client.get(path, params={"fate": "kept"}).json()["count"] == len(round_.kept) > 0
    assert sum(everything["filters"].values()) == len(round_.dropped) > 0
    for name, count in everything["filters"].items():
        found = client.get(path, params={"fate": name}).json()
        assert found["count"] == count
        assert all(row["fate"].startswith(f"{name}: ") and not row["kept"] for row in found["rows"])
    word = next(word for word in round_.kept[0]["prompt"].split() if len(word) > 5)
    found = client.get(path, params={"words": f"{word.upper()} {round_.kept[0]['id']}"}).json()
    assert [each["id"] for each in found["rows"]] == [round_.kept[0]["id"]]
    assert client.get(path, params={"words": "nowhere to be found"}).json()["rows"] == []


def test_one_comparison_in_full(client: TestClient, run: Path) -> None:
    row = json.loads((run / "rounds/1/dropped.jsonl").read_text().splitlines()[0])
    found = client.get("/ui/runs/0/rounds/1/one", params={"id": row["id"]}).json()
    assert (found["responses"], found["label"], found["kept"]) == (row["responses"], row["label"], False)
    assert found["fate"].startswith(f"{row['filter']}: {row['reason']}")
    assert len(found["votes"]) == len(row["votes"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "1",
        "-1",
        "0/rounds/9",
        "0/rounds/0",
        "0/rounds/1/one?id=none",
        "0/rounds/1/length.svg",
        "0/accuracy.svg?ink=red",
    ],
)
def test_what_is_not_there(client: TestClient, path: str) -> None:
    answer = client.get(f"/ui/runs/{path}")
    assert (answer.status_code, "no" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("path", ["accuracy.svg", "rounds/1/confidence.svg", "rounds/1/agreement.svg"])
def test_figures_are_images_in_the_pages_ink(client: TestClient, path: str) -> None:
    for ink, letters in (("dark", "#1a1a1a"), ("light", "#e8e8e8")):
        image = client.get(f"/ui/runs/0/{path}", params={"ink": ink})
        assert image.headers["content-type"] == "image/svg+xml"
        assert "script" not in image.headers["content-security-policy"]
        assert ElementTree.fromstring(image.text).tag == "{http://www.w3.org/2000/svg}svg"
        assert letters in image.text and "currentColor" not in image.text


def test_a_run_under_way_is_read_again_when_it_has_grown(run: Path, tmp_path: Path) -> None:
    young = tmp_path / "young"
    shutil.copytree(run, young)
    later = {name: young / name for name in ("judge", "rounds/2", "rounds/1")}
    for name, place in later.items():
        place.rename(tmp_path / name.replace("/", "-"))
    (young / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text().splitlines(keepends=True)[0])
    with served(young) as client:
        (line,) = client.get("/ui/runs").json()
        assert (line["finished"], line["rounds"]) == (False, 0)
        (tmp_path / "rounds-1").rename(later["rounds/1"])
        (line,) = client.get("/ui/runs").json()
        assert (line["finished"], line["rounds"]) == (False, 1)


def test_a_damaged_run_does_not_hide_the_others(run: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(run, bad)
    (bad / "rounds/1/kept.jsonl").write_text('{"id": 1}\n')
    with served(bad, run) as client:
        first, second = client.get("/ui/runs").json()
        assert "damaged" in first["error"] and second["finished"]
        answer = client.get("/ui/runs/0")
        assert (answer.status_code, "damaged" in answer.json()["detail"]) == (422, True)


def test_nothing_in_the_folder_changes(run: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in run.rglob("*")}

    before = state()
    with served(run) as client:
        for path in ("", "/0", "/0/rounds/1", "/0/accuracy.svg"):
            assert client.get(f"/ui/runs{path}").status_code == 200
            assert client.post(f"/ui/runs{path}", headers={"x-gramr2-page": "1"}).status_code == 405
    assert state() == before


def test_names_and_folders_of_runs(run: Path, tmp_path: Path) -> None:
    for place in ("x", "y"):
        shutil.copytree(run, tmp_path / place / "same", copy_function=os.link)
    assert runs_in(run) == [run] and runs_in(run.parent) == [run] and runs_in(tmp_path / "none") == []
    shelf = Shelf([tmp_path / "x/same", tmp_path / "y/same", run])
    assert [shelf.name(k) for k in range(3)] == ["x/same", "y/same", "mine"]
    with pytest.raises(ConfigError, match="no run to browse"):
        Shelf([])


def test_what_a_run_judged_is_labelled_in_the_stored_order(run: Path, tmp_path: Path) -> None:
    view = read_run(run)
    comparisons, opinions = of_run(view)
    pool = {json.loads(line)["id"]: json.loads(line) for line in _starter()}
    assert len(comparisons) == len(opinions) == 70
    for each in comparisons:
        assert [*each.responses] == pool[each.id]["responses"], "kept rows may be stored as they were learnt: swapped"
    for each in comparisons:
        opinion = opinions[each.id]
        assert (
            opinion.label is None
            or opinion.probabilities is None
            or (opinion.probabilities[opinion.label.value] == max(opinion.probabilities.values()))
        )
    session = session_of(
        comparisons, LabelStore(tmp_path / "l.jsonl"), opinions, judge="its judge", seed=0, share=0.2, show=False
    )
    assert session.state()["total"] == 70
    assert {Order.AB, Order.BA} == {Order(vote["order"]) for vote in view.rounds[1].kept[0]["votes"]}
    with pytest.raises(DataError, match="nothing to label"):
        of_run(type(view)(view.path, view.config, ()))


def _starter() -> list[str]:
    from importlib.resources import files

    return (files("gramr2.starter") / "unlabeled.jsonl").read_text(encoding="utf-8").splitlines()


def test_a_run_is_labelled_from_the_command_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., tuple[int, str, str]]
) -> None:
    seen: list[dict[str, object]] = []

    def listen(app: FastAPI, *_: object) -> None:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            seen.append(client.get("/ui/about").json() | client.get("/ui/label").json())

    monkeypatch.setattr(ui, "_listen", listen)
    assert cli("ui", run, "--label", tmp_path / "l.jsonl", "--limit", 9)[0] == 0
    assert (seen[0]["parts"], seen[0]["total"], seen[0]["judge"]) == (["label", "runs"], 9, "the judge of mine")
    code, _, told = cli("ui", run, "--label", tmp_path / "m.jsonl", "--columns", "prompt=q")
    assert (code, "leave out the flags that say how data are read" in told) == (2, True)
