"""A server with few descriptors and more silent connections than that: it still answers, and its log stays small."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

DESCRIPTORS, SILENT = 200, 260
PAIR = {"prompt": "Say x.", "responses": ["x", "xxx"]}


def test_silent_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))

    log = tmp_path / "log"
    command = [sys.executable, "-m", "gramr2.cli.main", "serve", "-m", "scripted:longer", "--port", "0"]
    with log.open("wb") as written, subprocess.Popen(command, stderr=written, preexec_fn=few) as server:
        try:
            until = time.monotonic() + 60
            while "ready:" not in log.read_text("utf-8"):
                assert server.poll() is None and time.monotonic() < until
                time.sleep(0.1)
            port = int(log.read_text("utf-8").split("listening on http://127.0.0.1:")[1].split()[0])
            silent = []
            for i in range(SILENT):
                each = socket.create_connection(("127.0.0.1", port), timeout=10)
                if i % 2:
                    each.sendall(b"POST /v1/judge HTTP/1.1\r\nHost: x\r\nX-a: ")
                silent.append(each)
            for _ in range(3):
                assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=20).status_code == 200
                found = httpx.post(f"http://127.0.0.1:{port}/v1/judge", json={"comparisons": [PAIR]}, timeout=20)
                assert found.json()["decisions"][0]["label"] == "B"
            for each in silent:
                each.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert log.stat().st_size < 4096
