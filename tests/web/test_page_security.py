"""The page's files and headers: nothing from elsewhere runs in it, and no other page can change anything through a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from conftest import make
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.middleware import LOOPBACK, ServerLimits
from gramr2.serving.model import Model
from gramr2.web.app import ui_app
from gramr2.web.labelling.opening import session_of
from gramr2.web.labelling.store import LabelStore

OWN = {"x-gramr2-page": "1"}
STATIC = {each.name: each.read_text() for each in (files("gramr2.web") / "static").iterdir()}


def app_of(out: Path, token: str | None = None, trusted: tuple[str, ...] = ()) -> FastAPI:
    store = LabelStore(out)
    session = session_of([make("c1"), make("c2")], store, {}, judge=None, seed=0, share=0.2, show=False)
    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
    return ui_app(
        session=session,
        model=Model(lambda: judge),
        limits=ServerLimits(max_bytes=5000),
        token=token,
        hosts={*LOOPBACK, *trusted},
        trusted=trusted,
    )


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(app_of(tmp_path / "labels.jsonl"), base_url="http://127.0.0.1:8001") as each:
        yield each


@pytest.mark.parametrize("path", ["/", "/label", "/play"])
def test_a_page_may_load_its_own_files_and_nothing_else(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert {rules[each] for each in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in policy and "http" not in policy
    assert {rules[each] for each in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert page.headers["x-content-type-options"] == "nosniff"
    for link in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert link.startswith("/")
        assert client.get(link).status_code == 200, link


def test_files_have_no_code_or_style_within_and_set_no_html() -> None:
    for name, text in STATIC.items():
        assert "//cdn" not in text and "https://" not in text.replace("http://www.w3.org", ""), name
        if name.endswith(".html"):
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", text), name
        if name.endswith(".js"):
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), (
                name
            )


def test_answers_are_no_pages(client: TestClient) -> None:
    told = client.get("/ui/about")
    assert told.json()["parts"] == ["label", "play"]
    assert told.headers["content-security-policy"].startswith("default-src 'none'")
    assert told.headers["x-content-type-options"] == "nosniff"
    assert client.get("/runs").status_code == 404, "there are no runs here"
    assert client.get("/static/../pages.py").status_code == 404
    assert client.head("/label").content == b""
    own = client.get("/docs").headers.get_list("content-security-policy")
    assert len(own) == 1 and "script-src 'sha256-" in own[0], "the documentation has a policy of its own"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        OWN | {"origin": "http://evil.example"},
        OWN | {"origin": "null"},
        OWN | {"origin": "http://127.0.0.1:9999"},
        OWN | {"origin": "http://[half"},
        OWN | {"sec-fetch-site": "cross-site"},
    ],
)
def test_what_another_page_sends_changes_nothing(client: TestClient, tmp_path: Path, headers: dict[str, str]) -> None:
    body = {"id": client.get("/ui/label").json()["item"]["id"], "verdict": "A"}
    refused = client.post("/ui/label", json=body, headers=headers)
    assert refused.status_code == 403
    assert client.get("/ui/label").json()["labelled"] == 0
    assert (tmp_path / "labels.jsonl").read_text() == ""
    own = OWN | {"origin": "http://127.0.0.1:8001", "sec-fetch-site": "same-origin"}
    assert client.post("/ui/label", json=body, headers=own).json()["labelled"] == 1


def test_the_public_endpoints_take_programs_and_no_foreign_pages(client: TestClient) -> None:
    body = {"comparisons": [{"prompt": "p", "responses": ["x", "xx"]}]}
    assert client.post("/v1/judge", json=body).status_code in (200, 503), "a program sends no origin"
    assert client.post("/v1/judge", json=body, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_name_of_a_foreign_page_is_not_answered(client: TestClient) -> None:
    for path in ("/ui/label", "/ui/about"):
        assert client.get(path, headers={"host": "evil.example"}).status_code == 421


def test_behind_a_proxy_its_name_is_trusted(tmp_path: Path) -> None:
    with TestClient(app_of(tmp_path / "l.jsonl", trusted=("Judge.example",)), base_url="http://127.0.0.1") as client:
        body = {"id": client.get("/ui/label").json()["item"]["id"], "verdict": "A"}
        sent = client.post("/ui/label", json=body, headers=OWN | {"origin": "https://judge.example"})
        assert sent.status_code == 200


def test_with_a_token_the_files_are_open_and_the_data_are_not(tmp_path: Path) -> None:
    with TestClient(app_of(tmp_path / "l.jsonl", token="secret"), base_url="http://127.0.0.1") as client:
        assert client.get("/").status_code == client.get("/static/common.js").status_code == 200
        for path in ("/ui/about", "/ui/label", "/ui/label/agreement", "/ui/play"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"authorization": "Bearer secret"}).status_code == 200
        assert client.post("/ui/label/undo", headers=OWN).status_code == 401


def test_malformed_and_large_answers(client: TestClient) -> None:
    name = client.get("/ui/label").json()["item"]["id"]
    for body in (
        {},
        {"id": name, "verdict": "C"},
        {"id": name, "verdict": "A", "extra": 1},
        {"id": name, "verdict": "A", "reason": 3},
    ):
        assert client.post("/ui/label", json=body, headers=OWN).status_code == 422
    half = '{"id": "' + name + '", "verdict": "A", "reason": "\\ud800"}'
    assert client.post("/ui/label", content=half, headers=OWN | {"content-type": "application/json"}).status_code == 422
    assert (
        client.post("/ui/label", json={"id": name, "verdict": "A", "reason": "x" * 6000}, headers=OWN).status_code
        == 413
    )
    assert client.get("/ui/label").json()["labelled"] == 0
