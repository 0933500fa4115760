"""``gramr2 serve``: what it refuses, and a real server from its start to its end."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from conftest import make
from gramr2 import load_judge
from gramr2.cli.addresses import server_names
from gramr2.client import Client, ServerError


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--host", "0.0.0.0"), "set GRAMR2_TOKEN or --token, or give --insecure"),
        (("--host", "example.org"), "set GRAMR2_TOKEN or --token, or give --insecure"),
        (("--token", ""), "the token is empty"),
        (("--end-token", ""), "an --end-token is empty"),
    ],
)
def test_it_does_not_open_to_everybody(cli: Any, words: tuple[str, ...], reason: str) -> None:
    code, _, error = cli("serve", "-m", "scripted:longer", *words)
    assert code == 2
    assert reason in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("host", "token", "trusted", "names"),
    [
        ("127.0.0.1", None, (), {"localhost", "127.0.0.1", "::1"}),
        ("127.0.0.2", None, ("judge.test",), {"localhost", "127.0.0.1", "::1", "127.0.0.2", "judge.test"}),
        ("127.0.0.1", "secret", (), None),
        ("0.0.0.0", "secret", (), None),
        ("0.0.0.0", "secret", ("judge.test",), {"localhost", "127.0.0.1", "::1", "0.0.0.0", "judge.test"}),
    ],
)
def test_which_names_it_answers_to(
    host: str, token: str | None, trusted: tuple[str, ...], names: set[str] | None
) -> None:
    assert server_names(host, token, trusted) == names


def test_a_missing_package_is_named_with_what_to_type(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    code, _, error = cli("serve", "-m", "scripted:longer")
    assert code == 2
    assert "pip install 'fastapi>=" in error and "'uvicorn>=" in error


def test_a_server_whose_model_cannot_be_loaded_ends_and_says_why(cli: Any) -> None:
    code, _, error = cli("serve", "-m", "scripted:nobody", "--port", "0")
    assert code == 2
    assert "nobody" in error.strip().splitlines()[-1]
    assert "Traceback" not in error


def test_a_server_from_start_to_end() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--model", "scripted:longer", "--port", str(port)]
    command = [sys.executable, "-c", "from gramr2.cli.main import run; run()", *words]
    environment = os.environ | {"GRAMR2_TOKEN": "secret"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            with Client(f"http://127.0.0.1:{port}", token="secret", retries=0) as client:
                until = time.monotonic() + 60
                while not client.ready():
                    assert server.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.05)
                assert client.judge([make("1")]).decisions[0].label == "B"
            judge = load_judge(f"http://127.0.0.1:{port}", token="secret")
            assert (judge.id.partition("/")[0], judge.compare("p", "a", "bb").label) == ("scripted:longer", "B")
            assert judge.score("p", "a", references=["bb"]).score == 0.0
            assert judge.score("p", "a").score is None, "it writes no grade"
            with Client(f"http://127.0.0.1:{port}", retries=0) as stranger, pytest.raises(ServerError, match="401"):
                stranger.judge([make("1")])
        finally:
            server.send_signal(signal.SIGTERM)
            _, notes = server.communicate(timeout=30)
    assert server.returncode in (0, -signal.SIGTERM)
    assert f"listening on http://127.0.0.1:{port}" in notes
    assert "ready: scripted:longer" in notes
    assert "Traceback" not in notes
