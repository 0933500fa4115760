"""Chromium, and windows in it of which nothing may complain."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
page_check = pytest.importorskip("page_check")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LOOKS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
Open = Callable[..., Any]


@contextmanager
def started() -> Iterator[Any]:
    """The browser."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def windows(browser: Any, trace: Path | None = None, refused: str = "status of (401|409|507)") -> Iterator[Open]:
    """Opens pages; anything that their consoles complain of is an error.

    Args:
        browser: see ``started``.
        trace: a file for what happens in the windows, to be looked at with ``playwright show-trace``; that of the last one stays.
        refused: what a console may say nevertheless: it tells of every refusal, and some are wanted.
    """
    contexts, said = [], []

    def opened(where: str, width: int = 1280, scheme: str = "light") -> Any:
        phone = width < page_check.PHONE
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=phone, is_mobile=phone
        )
        if trace is not None:
            context.tracing.start(screenshots=True, snapshots=True)
        contexts.append(context)
        page = context.new_page()
        page_check.listen(page, said)
        page.goto(where)
        return page

    try:
        yield opened
    finally:
        for context in contexts:
            if trace is not None:
                context.tracing.stop(path=trace)
            context.close()
    assert [each for each in said if not re.search(refused, each)] == []


def check(page: Any) -> None:
    """axe-core finds nothing, nothing is wider than the window, and what is read or touched is large enough."""
    found = page_check.faults(page)
    assert not found, "\n".join(found)
