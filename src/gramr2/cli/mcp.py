"""``gramr2 mcp``: a judge as tools of an MCP server, over standard input and output."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gramr2.cli.console import say, set_up_logging, stderr
from gramr2.cli.opening import Model, asks, open_model
from gramr2.errors import MissingDependencyError
from gramr2.loading import JudgeOptions, LoadedJudge


@asks
def mcp(model: Model, how: JudgeOptions) -> None:
    """Tools for agents (Model Context Protocol): judge, rank and score. Started by an MCP client, which talks to it on stdio."""
    set_up_logging(quiet=False)
    if importlib.util.find_spec("mcp") is None:
        raise MissingDependencyError("mcp", "mcp", "gramr2 mcp")
    with diverted():
        from gramr2.serving.tools import mcp_server

        judge = LoadedJudge(open_model(model, how))
        server = mcp_server(judge)
        say(f"ready: {judge.id}", to=stderr)
    server.run("stdio")


@contextmanager
def diverted() -> Iterator[None]:
    """Send whatever is written to standard output, by this process or a library under it, to standard error: on the output there
    may be nothing but the protocol. While the server runs, the SDK does the same."""
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(wire, 1)
        os.close(wire)
