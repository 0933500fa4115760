"""A chat API on loopback whose behaviour is a function of the request."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gramr2.cli.main import run

Body = dict[str, Any]
Answer = Body | tuple[int, Body] | str
"""a JSON object with status 200, another status with its object, or raw text with status 200"""


def verdict(body: Body) -> str:
    """The side on which 42 stands."""
    text = body["messages"][-1]["content"]
    return "A" if "42" in text[text.index("[Response A]") : text.index("[Response B]")] else "B"


def written(body: Body) -> str:
    return f"<think>\nFeedback: I have counted.\n</think>\n<answer>{verdict(body)}</answer>"


def completion(message: Any, finish: str | None = "stop") -> Body:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def good(body: Body) -> Body:
    return completion({"role": "assistant", "content": written(body)})


def refused(message: str, param: str | None = None) -> tuple[int, Body]:
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": None}}


@contextmanager
def chat_server(answer: Callable[[Body], Answer]) -> Iterator[tuple[str, list[Body]]]:
    """Yields the address, without /v1, and the bodies of the requests so far. Outside /v1 it serves a page of HTML."""
    seen: list[Body] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append(body)
            found: Answer = answer(body) if self.path.startswith("/v1/") else "<!doctype html><html>a page</html>"
            status, sent = found if isinstance(found, tuple) else (200, found)
            raw = sent.encode() if isinstance(sent, str) else json.dumps(sent).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if raw.startswith(b"<") else "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def comparisons(file: Path, count: int = 2, *poison: int) -> Path:
    """A file of comparisons whose first response is the better one; the prompts at the given places say POISON."""
    rows = [
        {
            "id": str(i),
            "prompt": f"What is {i} more than {42 - i}?" + (" POISON" if i in poison else ""),
            "responses": ["It is 42.", "It is 41."],
        }
        for i in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def judge_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: Path, model: str, data: Path
) -> tuple[int, list[Body], str]:
    """``gramr2 judge`` as a user runs it: exit code, the rows that it wrote, and what it said."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "argv", ["gramr2", "judge", "-m", model, "-d", str(data), "-o", str(out)])
    code = 0
    try:
        run()
    except SystemExit as ended:
        code = int(ended.code or 0)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []
    said = capsys.readouterr()
    return code, rows, said.out + said.err
