"""The page about the server: complete, without a network, and with examples that work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from fastapi.testclient import TestClient
from real_server import running
from test_app import served, until_ready

from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.serving.documentation import page_of, policy, script
from gramr2.serving.examples import EXAMPLES


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with served() as each:
        until_ready(each)
        yield each


def test_every_path_and_object_is_on_the_page(client: TestClient) -> None:
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path, methods in document["paths"].items():
        for method in methods:
            assert f'id="{method.upper()}{path}"' in page
    for name, schema in document["components"]["schemas"].items():
        assert f'id="object-{name}"' in page
        for field in schema.get("properties", {}):
            assert f"<code>{field}</code>" in page
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links and all(f'id="{link}"' in page for link in links)


def test_the_page_may_load_nothing(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-security-policy"] == policy()
    assert "default-src 'none'" in policy() and "connect-src 'self'" in policy()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
    assert f"<script>{script()}</script>" in answer.text, "the policy names this script's digest"


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_examples_work(client: TestClient, path: str) -> None:
    found = client.post(path, json=EXAMPLES[path])
    assert found.status_code == 200, found.text


def test_every_request_has_an_example(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {path for path, methods in paths.items() if "post" in methods} == {*EXAMPLES}


def test_text_in_a_document_is_data() -> None:
    evil = "<script>alert(1)</script>‹a b›"
    schema: dict[str, Any] = {
        "type": "object",
        "description": evil,
        "properties": {evil: {"type": "string", "default": evil}},
    }
    made = page_of({"info": {"title": evil, "version": evil}, "paths": {}, "components": {"schemas": {"A": schema}}})
    assert "<script>alert" not in made and "&lt;script&gt;alert(1)" in made


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_shows_it_and_asks_nobody_else(tmp_path: Path) -> None:
    judge = Judge(scripted("longer"), sampling=Sampling(votes=1, temperature=0))
    with running(judge, token="secret") as url, Browser(tmp_path) as browser:
        opened = url.replace("://", "://any:secret@")
        browser.do("Page.navigate", url=f"{opened}/docs#POST/v1/judge")
        assert browser.until("document.title") == "gramr2 reward server"
        assert browser.until("document.getElementById('POST/v1/judge').open")
        form = "document.getElementById('POST/v1/judge')"
        browser.run(f"document.getElementById('token').value = 'secret'; {form}.querySelector('button').click()")
        told = browser.until(
            f"/^\\d/.test({form}.querySelector('output').textContent) && {form}.querySelector('output').textContent"
        )
        assert told.startswith("200") and '"label": "B"' in told
        asked = [each for each in browser.asked if not each.startswith("data:")]
    assert any(each.endswith("/v1/judge") for each in asked)
    assert all(each.replace("any:secret@", "").startswith(f"{url}/") for each in asked), asked
