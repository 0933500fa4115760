"""Where a server of ours may listen, and by which names it may be called."""

from __future__ import annotations

import importlib.util
import ipaddress
from collections.abc import Sequence
from typing import Annotated

import typer

from gramr2.errors import ConfigError, MissingDependencyError

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Listen on a public address even without a token.")]
NEEDED = ("fastapi", "uvicorn", "prometheus_client")


def ready_to_listen(command: str, host: str, token: str | None, insecure: bool) -> None:
    """Refuse what would fail later, or would let strangers in.

    Raises:
        MissingDependencyError: a package of the server is not installed.
        ConfigError: others can reach the address, and there is no token; or the token is empty.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(package, "serve", command)
    if token is None and not insecure and not _local(host):
        raise ConfigError(
            f"--host {host} is reachable by others, and there is no token: set GRAMR2_TOKEN or --token, or give --insecure"
        )
    if token == "":
        raise ConfigError("the token is empty: set GRAMR2_TOKEN or --token to a secret, or leave both out")


def server_names(host: str, token: str | None, trusted: Sequence[str]) -> set[str] | None:
    """The names that requests may call the server by; None for any."""
    from gramr2.serving.middleware import LOOPBACK

    return {*LOOPBACK, host, *trusted} if trusted or (token is None and _local(host)) else None


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
