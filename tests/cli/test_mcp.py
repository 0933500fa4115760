"""``gramr2 mcp`` over standard input and output, with the SDK's own client."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

COMMAND = [sys.executable, "-c", "from gramr2.cli.main import run; run()", "mcp", "-m"]


def test_the_sdks_client_asks_it() -> None:
    command, *words = [*COMMAND, "scripted:longer"]
    server = StdioServerParameters(command=command, args=words, env=dict(os.environ))

    async def ask() -> tuple[set[str], Any, Any]:
        async with Client(server) as client:
            tools = await client.list_tools()
            judged = await client.call_tool("judge", {"prompt": "p", "response_a": "x", "response_b": "xxx"})
            ranked = await client.call_tool("rank", {"prompt": "p", "responses": ["x", "xxx", "xx"]})
            return {each.name for each in tools.tools}, judged.structured_content, ranked.structured_content

    names, judged, ranked = asyncio.run(ask())
    assert names == {"judge", "rank", "score"}
    assert (judged["better"], ranked["best"]) == ("B", 1)


def test_nothing_but_the_protocol_is_on_its_output() -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    lines = f"{json.dumps(hello)}\nno protocol\n"
    found = subprocess.run([*COMMAND, "scripted:longer"], input=lines, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    answers = [json.loads(line) for line in found.stdout.splitlines()]
    assert all(each["jsonrpc"] == "2.0" for each in answers)
    assert answers[0]["result"]["serverInfo"]["name"] == "gramr2"
    assert "ready: scripted:longer" in found.stderr


def test_what_a_library_prints_goes_to_the_errors() -> None:
    program = """
import os, sys
from gramr2.cli.mcp import diverted
with diverted():
    print("loading")
    os.write(1, b"by C\\n")
print("protocol")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (found.stdout, set(found.stderr.split())) == ("protocol\n", {"by", "C", "loading"})


def test_a_model_that_is_not_there_ends_it(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, error = cli("mcp", "-m", "scripted:nobody")
    assert (code, out) == (2, "")
    assert "no scripted judge 'nobody'" in error
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mcp" else found(name))
    code, _, error = cli("mcp", "-m", "scripted:longer")
    assert (code, "gramr2 mcp needs the package mcp" in error) == (2, True)
